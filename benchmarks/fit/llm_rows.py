"""The published rows of language models, and what the step model says of each under a guess."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import find_sheet
from fitwright.catalog.transformers import find_transformer
from fitwright.perf.collective import pace, transfer_s
from fitwright.perf.llm.engines import ENGINES
from fitwright.perf.llm.formats import Format, read_format
from fitwright.perf.llm.offline import offline, steady_tokens_per_s, with_cache
from fitwright.perf.llm.step import Machine, StepModel
from fitwright.records.estimate import NoData
from fitwright.records.transformer import Transformer
from fitwright.validate.case import Case

# device -> format group of its full-queue rows, architecture
SERVED_BY = {"a100-80-sxm": ("float16", "Ampere GA100"), "h100-sxm": ("float8", "Hopper")}
# legacy energy table -> device, architecture, FP16 bytes/s and TDP (PCIe and SXM cards as in
# the leaderboard's description of its machines)
METERED = {
    "A100": ("a100-80-sxm", "Ampere GA100", 2.039e12, 400.0),
    "A40": ("a40", "Ampere GA102", 0.696e12, 300.0),
    "V100": ("v100-sxm2", "Volta", 0.9e12, 300.0),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Decode:
    """One user generating: seconds a token."""

    device: str
    shape: Transformer
    form: Format
    tp: int
    seconds: float
    bandwidth: float

    @property
    def group(self) -> str:
        return self.form.group

    def bytes_per_s(self, guess: Mapping[str, float]) -> float:
        """Share of the bandwidth left for the weights once the software's time is taken off."""
        fixed = guess["step_s"] + guess["layer_s"] * self.shape.num_layers
        weights = (
            (self.shape.parameters - self.shape.vocab * self.shape.hidden) * self.form.bits / 8
        )
        return weights / (self.seconds - fixed) / self.bandwidth


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """A full queue: tokens a second of the group."""

    device: str
    engine: str
    dtype: str
    shape: Transformer
    tp: int
    input_len: int
    output_len: int
    per_s: float
    num_prompts: int | None = None


@cache
def reduction(device: str, tp: int) -> Callable[[float], float] | None:
    if tp == 1:
        return None
    found = pace("all_reduce", sheet=find_sheet(device), table=evidence("collectives"), ranks=tp)
    assert not isinstance(found, NoData)
    return lambda num_bytes: float(transfer_s("all_reduce", num_bytes, ranks=tp, pace=found))


def _shape(name: str) -> Transformer:
    found = find_transformer(name)
    assert found is not None, name
    return found


def decode_rows(data: Path, *, dynamic: bool = False) -> list[Decode]:
    """Of `torch.compile`; `dynamic`: those alone that quantise activations on the fly."""
    rows = []
    with (data / "llm_decode_batch1.csv").open() as file:
        for r in csv.DictReader(file):
            if ("dynamic" in r["dtype"]) != dynamic:
                continue  # a fallback at a tenth of the speed
            form = read_format("int4 g64" if "hqq" in r["dtype"] else r["dtype"])
            assert form is not None
            device = "a100-80-sxm" if "A100" in r["device"] else "mi250x"
            rows.append(Decode(
                device=device,
                shape=_shape(r["model"]),
                form=replace(form, head_bits=form.bits),
                tp=int(r["tensor_par"]),
                seconds=1 / float(r["decode_tok_s"]),
                bandwidth=2.039e12 if device == "a100-80-sxm" else 1.638e12,
            ))  # fmt: skip
    return rows


def decode_s(r: Decode, guess: Mapping[str, float]) -> float:
    machine = Machine(
        flop_per_s=312e12 * 0.7,
        attention_flop_per_s=312e12 * 0.5,
        weight_bytes_per_s=r.bandwidth * guess[f"weight_{r.group}"],
        kv_bytes_per_s=r.bandwidth * 0.7,
        step_s=guess["step_s"],
        layer_s=guess["layer_s"],
        reduce_s=reduction("a100-80-sxm", r.tp),
    )
    return StepModel(r.shape, r.form, machine, tp=r.tp).decode_s(context=100)


def served_rows(data: Path) -> list[Served]:
    rows = []
    with (data / "llm_serving_trtllm_vllm.csv").open() as file:
        for r in csv.DictReader(file):
            if not r["input_len"].isdigit():
                continue  # a mix of lengths
            engine = "trtllm" if "TensorRT" in r["software"] else "vllm"
            words = [w for w in r["load"].split() if w.isdigit()]
            asked, given = int(r["input_len"]), int(r["output_len"])
            total = (asked + given) / given if "total" in r["metric"] else 1.0
            rows.append(Served(
                device="a100-80-sxm" if "A100" in r["device"] else "h100-sxm",
                engine=engine,
                dtype=r["dtype"],
                shape=_shape(r["model"]),
                tp=int(r["tensor_par"]),
                input_len=asked,
                output_len=given,
                per_s=float(r["throughput"]) / total,
                num_prompts=int(words[0]) if words else None,
            ))  # fmt: skip
    return rows


def served_per_s(r: Served, guess: Mapping[str, float]) -> float:
    """Output tokens a second; a thousandth where the model does not fit."""
    sheet, engine = find_sheet(r.device), ENGINES[r.engine]
    form = read_format(r.dtype)
    assert form is not None and sheet.bandwidth_bytes_per_s and sheet.memory_bytes
    if engine.float8_cache and form.group == "float8":
        form = replace(form, kv_bytes=1.0)
    bandwidth, plain = sheet.bandwidth_bytes_per_s.value, sheet.peaks["bfloat16"].value
    peak = sheet.peaks["float8"].value if form.group == "float8" else plain
    machine = Machine(
        flop_per_s=peak * guess["compute_share"],
        attention_flop_per_s=plain * guess["prefill_share"],
        weight_bytes_per_s=bandwidth * guess["weight_share"],
        kv_bytes_per_s=bandwidth * guess["kv_share"],
        kv_order=guess["kv_order"],
        step_s=guess["step_s"],
        sequence_s=guess["sequence_s"],
        layer_s=guess["layer_s"],
        memory_bytes=sheet.memory_bytes.value,
        reduce_s=reduction(r.device, r.tp),
    )
    model = StepModel(r.shape, form, machine, tp=r.tp)
    policy = with_cache(model, engine)
    if isinstance(policy, NoData):
        return r.per_s / 1000
    if r.num_prompts is None:
        return steady_tokens_per_s(
            model, policy, input_tokens=r.input_len, output_tokens=r.output_len
        )
    run = offline(
        model,
        policy,
        input_tokens=r.input_len,
        output_tokens=r.output_len,
        num_requests=r.num_prompts,
    )
    return run.output_tokens_per_s


SWEPT = {
    "a100_sxm": ("a100-80-sxm", "Ampere GA100"),
    "h100_sxm": ("h100-sxm", "Hopper"),
    "b60": ("arc-pro-b60", "Xe2"),
}
GROUPS = {"bfloat16": "float16", "fp8": "float8", "int8_wo": "int8w", "int4_wo": "int4w"}
WEIGHT_BYTES = {"float16": 2.0, "float8": 1.0, "int8w": 1.0, "int4w": 0.5}
Key = tuple[str, str]


def gemm_shares(data: Path) -> dict[Key, tuple[list[float], list[float]]]:
    """By system and group: shares of the bandwidth in products of few rows with large weights,
    and of the peak in large products."""
    found: dict[Key, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    with (data / "gemm_measured_aic.csv").open() as file:
        for r in csv.DictReader(file):
            group = GROUPS.get(r["gemm_dtype"])
            if group is None or r["system"] not in SWEPT:
                continue
            sheet = find_sheet(SWEPT[r["system"]][0])
            m, n, k = int(r["m"]), int(r["n"]), int(r["k"])
            seconds = float(r["latency_ms"]) * 1e-3
            streams, computes = found[r["system"], group]
            peak = sheet.peaks.get("float8" if group == "float8" else "bfloat16")
            assert sheet.bandwidth_bytes_per_s is not None
            if m <= 16 and n * k >= 6e7:
                moved = n * k * WEIGHT_BYTES[group] + 2 * m * (n + k)
                streams.append(moved / seconds / sheet.bandwidth_bytes_per_s.value)
            elif m >= 4096 and n * k >= 1.6e7 and peak is not None:
                computes.append(2 * m * n * k / seconds / peak.value)
    return found


def attention_shares(data: Path) -> dict[Key, tuple[list[float], list[float]]]:
    """By system and dtype of the cache: shares of the bandwidth while decoding, and of the peak
    in long prompts."""
    found: dict[Key, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    with (data / "attention_measured_aic.csv").open() as file:
        for r in csv.DictReader(file):
            if r["system"] not in SWEPT:
                continue
            sheet = find_sheet(SWEPT[r["system"]][0])
            batch, length, step = int(r["batch_size"]), int(r["isl"]), int(float(r["step"]))
            heads, size = int(r["num_heads"]), int(r["head_dim"])
            kv_heads = int(r["num_key_value_heads"]) or heads
            seconds = float(r["latency_ms"]) * 1e-3
            narrow = "fp8" in r["kv_cache_dtype"]
            streams, computes = found[r["system"], "float8" if narrow else "float16"]
            moved = 2 * batch * (step + 1) * kv_heads * size * (1 if narrow else 2)
            assert sheet.bandwidth_bytes_per_s is not None
            if r["phase"] == "generation" and moved > 3e8 and kv_heads >= 4:
                streams.append(moved / seconds / sheet.bandwidth_bytes_per_s.value)
            elif r["phase"] == "context" and batch * length >= 8192 and length >= 1024:
                flops = 2 * batch * heads * size * length * length  # half of the square is masked
                computes.append(flops / seconds / sheet.peaks["bfloat16"].value)
    return found


def eager_layer_s(data: Path) -> list[float]:
    """Seconds a token and block of models that an A100 reads in less time than they took."""
    found = []
    with (data / "mlenergy_legacy_batch1.csv").open() as file:
        for r in csv.DictReader(file):
            shape = find_transformer(r["model"])
            if shape is None or r["gpu"] != "A100" or shape.style != "decoder":
                continue
            found.append(float(r["latency"]) / float(r["response_length"]) / shape.num_layers)
    return found


def power_rows(data: Path) -> list[tuple[str, str, list[tuple[float, float]]]]:
    """By device: share of the bandwidth that the weights took, and share of the TDP drawn."""
    loads: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with (data / "mlenergy_legacy_batch1.csv").open() as file:
        for r in csv.DictReader(file):
            shape = find_transformer(r["model"])
            if shape is None or "t5" in r["model"]:
                continue  # keeps its weights in another precision
            _, _, bandwidth, tdp = METERED[r["gpu"]]
            tokens_per_s = float(r["response_length"]) / float(r["latency"])
            traffic = 2 * shape.parameters * tokens_per_s / bandwidth
            watts = float(r["energy"]) / float(r["latency"]) / tdp
            loads[r["gpu"]].append((min(traffic, 1.0), watts))
    return [(*METERED[gpu][:2], rows) for gpu, rows in loads.items()]


SUBMITTED = {
    "intel(r) xeon(r) platinum 8592+": "xeon-8592",
    "intel(r) xeon(r) 6787p": "xeon-6787p",
    "nvidia h100-nvl-94gb": "h100-nvl",
    "nvidia h100-pcie-80gb": "h100-pcie",
    "nvidia h100-sxm-80gb": "h100-sxm",
    "nvidia jetson agx orin 64g": "jetson-agx-orin-64",
    "[maxsun] ms-intel arc pro b60 dual 48g turbo": "arc-pro-b60",
}
TASKS = ("gptj", "llama2-70b", "mixtral-8x7b", "llama3.1-405b", "llama3.1-8b", "deepseek-r1")

SCENARIOS = ("Offline", "Server")
GIVEN = ("version", "benchmark", "scenario", "weight_dtype", "n_devices", "framework")


def mlperf_rows(data: Path) -> list[tuple[str, Case]]:
    """Offline and server rows of language models with their benchmark; each device, version and
    scenario once."""
    rows: dict[tuple[str, str, str, str], tuple[str, Case]] = {}
    with (data / "mlperf_best_per_device.csv").open() as file:
        for r in csv.DictReader(file):
            name = r["benchmark"].replace("_", ".")
            task = next((t for t in TASKS if name.startswith(t)), None)
            device = SUBMITTED.get(r["device"].lower())
            if task is None or device is None or r["scenario"] not in SCENARIOS:
                continue
            asked = Case(
                case=r["source"],
                domain="e2e/llm-offline",
                device_id=device,
                inputs={k: r[k] for k in GIVEN},
                metric="best_value",
                measured=float(r["best_value"]),
                unit=r["unit"],
                source=r["source"],
            )
            rows[r["version"], device, task, r["scenario"]] = (task, asked)
    return list(rows.values())

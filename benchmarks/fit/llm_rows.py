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


def decode_rows(data: Path) -> list[Decode]:
    rows = []
    with (data / "llm_decode_batch1.csv").open() as file:
        for r in csv.DictReader(file):
            if "dynamic" in r["dtype"]:
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
    policy = with_cache(model, engine.policy, share=engine.memory_share)
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

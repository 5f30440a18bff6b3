"""Draws a table of cases from the bulk files, and says how predictions fare on it.

    python benchmarks/fit/validation_draw.py --data ../shared/data --rows 12 --seed 1

Prints for each domain how many rows are answered, the median error and how many bands hold the
truth: with all constants, without those of the row's device, and without those of its whole
architecture (wider constants that rest on others too are not refitted: the scripts beside this
one do that). Rows of ``validation_cases.csv`` are left out. ``--cases FILE`` writes the table.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import attention
import gemm
import training_cases as training
from llm_rows import METERED
from mlperf_rows import ID_OF
from network_rows import DEVICES as TIMM
from npu import NPUS
from openvino_rows import device_of
from published_llm import DEVICES as SERVING
from tiny_rows import FPGAS as TINY_FPGAS
from tiny_rows import SOCS
from training_table import LINKED, figure_1

from fitwright.catalog.evidence import all_evidence
from fitwright.catalog.sheets import load_sheets
from fitwright.perf.ladder import without_device
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet
from fitwright.records.validation import Scored
from fitwright.validate.case import Case
from fitwright.validate.score import scored, summed
from fitwright.validate.table import read_cases

COLUMNS = ("case", "domain", "device_id", "inputs", "metric", "measured", "unit", "source")
FEW_ROWS = 16
"""Products of up to so many rows of activations only read weights."""
LANGUAGE = ("llama", "mixtral", "gptj", "gpt-j")
Raw = Mapping[str, str]
Row = tuple[str, str, str, str, str]
"""Domain, device, metric, measured, unit."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A bulk file: which columns a case states as numbers and as text, and what is measured."""

    name: str
    row: Callable[[Raw], Row | None]
    numbers: Sequence[str] = ()
    words: Sequence[str] = ()


def product(r: Raw) -> Row | None:
    domain = "op/gemv" if int(r["m"]) <= FEW_ROWS else "op/gemm"
    return domain, gemm.SYSTEMS[r["system"]], "latency_ms", r["latency_ms"], "ms"


def attended(r: Raw) -> Row | None:
    phase = "prefill" if r["phase"] == "context" else "decode"
    device = attention.SYSTEMS[r["system"]]
    return f"op/attention-{phase}", device, "latency_ms", r["latency_ms"], "ms"


def vision(r: Raw) -> Row | None:
    kind = "cpu" if r["device"].startswith("Core") else "gpu"
    kind = "train" if r["mode"] == "train" else kind
    return f"e2e/vision-{kind}", TIMM[r["device"]], "samples_s", r["samples_s"], "img/s"


def submitted(r: Raw) -> Row:
    """The device stays in the submitter's words where the catalogue lacks it."""
    device = ID_OF.get(r["device"].lower(), r["device"])
    language = r["benchmark"].startswith(LANGUAGE) and r["scenario"] == "Offline"
    if language and r["best_tokens_per_s_per_device"]:
        measured = r["best_tokens_per_s_per_device"]
        return "e2e/llm-offline", device, "best_tokens_per_s_per_device", measured, "tok/s/device"
    return "e2e/mlperf", device, "best_value", r["best_value"], r["unit"]


def metered(r: Raw) -> Row | None:
    device = ID_OF.get(r["device"].lower(), r["device"])
    joules = r["best_energy_J_per_sample"]
    name, unit = "best_energy_J_per_sample", "J/sample (whole system)"
    return ("energy/mlperf", device, name, joules, unit) if joules else None


def tiny(r: Raw) -> Row | None:
    device = (SOCS | TINY_FPGAS).get(r["soc"], r["soc"] or r["processor"])
    return "e2e/mcu-fpga", device, "latency_ms", r["latency_ms"], "ms"


def npu(r: Raw) -> Row | None:
    return "e2e/npu", NPUS.get(r["device"], r["device"]), "value", r["value"], r["unit"]


def openvino(r: Raw) -> Row | None:
    return "e2e/openvino", device_of(r["device"]), "value", r["value"], r["unit"]


def built(metric: str, unit: str) -> Callable[[Raw], Row | None]:
    domain = "fpga/latency" if unit == "cycles" else "fpga/area"

    def row(r: Raw) -> Row | None:
        device = "alveo-u250" if "xcu250" in r["device"] else r["device"]
        return (domain, device, metric, r[metric], unit) if r[metric] else None

    return row


def decoded(r: Raw) -> Row | None:
    device = SERVING.get(r["device"], r["device"])
    return "e2e/llm-decode", device, "decode_tok_s", r["decode_tok_s"], "tok/s"


def served(r: Raw) -> Row | None:
    device = SERVING.get(r["device"], r["device"])
    return "e2e/llm-serving-offline", device, "throughput", r["throughput"], "tok/s"


def asked(r: Raw) -> Row | None:
    device = METERED[r["gpu"]][0]
    return "energy/llm", device, "energy_per_request_j", r["energy"], "J/request (GPU)"


def neusight(r: Raw) -> Row | None:
    trains = r["mode"].startswith("train")
    domain = "training/single-gpu-fp32" if trains else "e2e/transformer-fp32"
    return domain, training.NEUSIGHT_IDS[r["device"]], "e2e_ms", r["e2e_ms"], "ms"


def linked(r: Raw) -> Row | None:
    device, measured = LINKED[r["system"]], r["busbw_at_max_gb_s"]
    return "op/collective", device, "busbw_gb_s", measured, "GB/s"


HEADS = ("batch_size", "isl", "step", "num_heads", "num_key_value_heads", "head_dim")
TABLES = (
    Table(name="gemm_measured_aic", row=product, numbers=("m", "n", "k"), words=("gemm_dtype",)),
    Table(
        name="attention_measured_aic",
        row=attended,
        numbers=HEADS,
        words=("attn_dtype", "kv_cache_dtype"),
    ),
    Table(
        name="timm_vision",
        row=vision,
        numbers=("img_size", "batch", "gmacs", "params_M"),
        words=("model", "dtype"),
    ),
    Table(
        name="mlperf_best_per_device",
        row=submitted,
        numbers=("n_devices",),
        words=("version", "benchmark", "scenario", "weight_dtype"),
    ),
    Table(
        name="mlperf_best_per_device",
        row=metered,
        numbers=("n_devices",),
        words=("version", "benchmark", "scenario"),
    ),
    Table(name="mlperf_tiny", row=tiny, words=("benchmark", "freq", "framework")),
    Table(
        name="edge_npu", row=npu, numbers=("input", "batch", "gops", "params_M"), words=("model",)
    ),
    Table(name="openvino", row=openvino, words=("model", "dtype", "note")),
    Table(
        name="fpga",
        row=built("latency_cycles", "cycles"),
        numbers=("reuse_factor", "sparsity"),
        words=("layers", "precision"),
    ),
    Table(
        name="fpga",
        row=built("lut", "LUT"),
        numbers=("reuse_factor", "sparsity"),
        words=("layers", "precision"),
    ),
    Table(
        name="llm_decode_batch1",
        row=decoded,
        numbers=("tensor_par", "batch"),
        words=("model", "dtype"),
    ),
    Table(
        name="llm_serving_trtllm_vllm",
        row=served,
        numbers=("tensor_par",),
        words=("model", "dtype", "input_len", "output_len"),
    ),
    Table(name="mlenergy_legacy_batch1", row=asked, numbers=("response_length",), words=("model",)),
    Table(
        name="neusight_e2e_measured",
        row=neusight,
        numbers=("batch", "seq_len"),
        words=("model", "dtype", "option"),
    ),
    Table(
        name="collectives_alpha_beta",
        row=linked,
        numbers=("num_gpus", "max_bytes"),
        words=("op",),
    ),
)
SHORTER = {"max_bytes": "bytes"}


def cases(data: Path) -> Iterator[Case]:
    """Every row of the bulk files as a case, in the words of the table of cases."""
    for table in TABLES:
        with (data / "published" / f"{table.name}.csv").open() as file:
            yield from (made for r in csv.DictReader(file) if (made := _case(table, r)))
    for read in (training.foundry, training.titan, training.megatron, training.korthikanti):
        yield from read(data)
    for read in (figure_1, training.titan_peaks, training.dlperf_peaks):
        yield from read(data)
    yield from (replace(c, domain="training/4gpu") for c in training.neusight(data))


def _case(table: Table, r: Raw) -> Case | None:
    found = table.row(r)
    if found is None:
        return None
    domain, device, metric, measured, unit = found
    inputs: dict[str, object] = {k: r[k] or None for k in table.words}
    inputs |= {SHORTER.get(k, k): _number(r[k]) for k in table.numbers if r[k]}
    return Case(
        case=r["source"],
        domain=domain,
        device_id=device,
        inputs=inputs,
        metric=metric,
        measured=float(measured),
        unit=unit,
        source=r["source"],
    )


def _number(text: str) -> float:
    return int(text) if text.isdigit() else float(text)


def drawn(every: Sequence[Case], *, rows: int, seed: int) -> list[Case]:
    """So many rows of each domain, at random; all where there are fewer."""
    chance = random.Random(seed)
    domains: dict[str, list[Case]] = defaultdict(list)
    for case in every:
        domains[case.domain].append(case)
    return [
        replace(case, case=f"{domain}-{i:03d}")
        for domain, found in domains.items()
        for i, case in enumerate(chance.sample(found, min(rows, len(found))), start=1)
    ]


def key(case: Case) -> tuple[str, str, float | None]:
    """Domain, device and figure: the same measurement, however it is written."""
    return case.domain, case.device_id, case.measured


def without_architecture(table: tuple[Evidence, ...], sheet: Sheet) -> tuple[Evidence, ...]:
    """The table without what any device of this architecture says by itself."""
    name = sheet.architecture.lower()
    ids = {s.id for s in load_sheets().values() if s.architecture.lower() == name}

    def told(e: Evidence) -> bool:
        if e.rung in ("measured", "device"):
            return e.scope in ids
        return (e.rung == "architecture" and e.scope.lower() == name) or (
            bool(e.devices) and ids.issuperset(e.devices)
        )

    return tuple(e for e in table if not told(e))


KNOWN: Mapping[str, Callable[[Sheet], tuple[Evidence, ...]]] = {
    "all": lambda _: all_evidence(),
    "device out": lambda sheet: without_device(all_evidence(), sheet),
    "architecture out": lambda sheet: without_architecture(all_evidence(), sheet),
}


def told(rows: Sequence[Scored]) -> str:
    """``12/12 answered, 7 % off, 83 % in the band``."""
    found = summed(rows)
    off, inside = found.median_absolute_error, found.share_within_band
    if off is None or inside is None:
        return f"{found.num_predicted}/{found.num_rows}    -    -"
    return f"{found.num_predicted}/{found.num_rows} {off:5.1%} {inside:4.0%}"


def report(table: Sequence[Case], *, unanswered: bool) -> None:
    """A line for each domain, and each row without an answer with its reason."""
    by_known = {name: [scored(c, known=known) for c in table] for name, known in KNOWN.items()}
    for domain in dict.fromkeys(c.domain for c in table):
        columns = (told([r for r in rows if r.domain == domain]) for rows in by_known.values())
        print(f"{domain:28s}", *(f"{c:22s}" for c in columns))
    for case, row in zip(table, by_known["all"], strict=True):
        if unanswered and row.predicted is None:
            print(f"- {case.domain} on {case.device_id}: {dict(case.inputs)}\n    {row.reason}")


def write(path: Path, table: Sequence[Case]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for c in table:
            inputs = json.dumps(dict(c.inputs))
            row = (c.case, c.domain, c.device_id, inputs, c.metric, c.measured, c.unit, c.source)
            writer.writerow(row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=Path)
    args = parser.parse_args()
    seen = read_cases(args.data / "validation_cases.csv")
    known = {key(c) for c in seen if isinstance(c, Case)}
    table = drawn([c for c in cases(args.data) if key(c) not in known], rows=args.rows,
                  seed=args.seed)  # fmt: skip
    if args.cases:
        write(args.cases, table)
    report(table, unanswered=True)


if __name__ == "__main__":
    main()

"""Writes `catalog/published/operators.csv`: rows of the sweeps that no fit has seen.

    python benchmarks/fit/operator_cases.py --data ../shared/data/published

The rule: every 250th row of the products (block-scaled float8 of vLLM left out, see `gemm.py`)
and every 75th of the attentions, whatever they say; their shapes go into no fit.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import attention
import gemm
from operator_fit import every

OUT = Path("src/fitwright/catalog/published/operators.csv")
COLUMNS = ("case", "domain", "device_id", "inputs", "metric", "measured", "unit", "source")
FEW_ROWS = 16
"""Products of up to so many rows of activations only read weights."""


def product_cases(data: Path) -> Iterator[tuple[str, str, Mapping[str, object], str, str]]:
    for row in every(gemm.read(data), gemm.KEPT_OUT):
        inputs = {"gemm_dtype": row["gemm_dtype"], **{x: int(row[x]) for x in "mnk"}}
        domain = "op/gemv" if int(row["m"]) <= FEW_ROWS else "op/gemm"
        yield domain, gemm.SYSTEMS[row["system"]], inputs, row["latency_ms"], row["source"]


def attention_cases(data: Path) -> Iterator[tuple[str, str, Mapping[str, object], str, str]]:
    sizes = ("batch_size", "isl", "step", "num_heads", "num_key_value_heads", "head_dim")
    for row in every(attention.read(data), attention.KEPT_OUT):
        dtypes = {x: row[x] for x in ("attn_dtype", "kv_cache_dtype")}
        inputs = {**{x: int(row[x]) for x in sizes}, **dtypes}
        domain = {"context": "op/attention-prefill", "generation": "op/attention-decode"}
        device = attention.SYSTEMS[row["system"]]
        yield domain[row["phase"]], device, inputs, row["latency_ms"], row["source"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/published"))
    data = parser.parse_args().data
    with OUT.open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(COLUMNS)
        for i, case in enumerate((*product_cases(data), *attention_cases(data)), start=1):
            domain, device, inputs, measured, source = case
            name = f"operators-{i:02d}"
            said = json.dumps(inputs)
            out.writerow([name, domain, device, said, "latency_ms", measured, "ms", source])


if __name__ == "__main__":
    main()

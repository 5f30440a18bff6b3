"""Fits the shares of `fitwright.perf.energy` from metered GEMMs and from MLPerf systems.

    python benchmarks/fit/energy.py --data ../shared/data

Writes `src/fitwright/catalog/constants/energy.yaml` and prints what it found. The metered rows
are boards alone; the shares of families and kinds without a metered board are priors whose
source says so, widened accordingly.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from statistics import median
from typing import Any

import yaml

OUT = Path(__file__).parents[2] / "src/fitwright/catalog/constants/energy.yaml"
METERED = "ai-dynamo/aiconfigurator, GEMMs with board power (energy_gpu_effective.csv)"
NAMES = {"bfloat16": "bfloat16", "fp8": "float8", "nvfp4": "float4"}
IDS = {"NVIDIA B200": "b200", "NVIDIA GB200": "gb200"}
COLUMN = {"bfloat16": "bf16", "float8": "fp8", "float4": "fp4"}


def shares(row: dict[str, str], device: dict[str, str]) -> dict[str, float]:
    """Idle, FLOP and byte share of one metered device and dtype (see perf/energy.py)."""
    tdp, dtype = float(device["tdp_W"]), NAMES[row["dtype"]]
    idle = float(row["power_W_tiny_min"])
    peak = float(device[COLUMN[dtype]])
    found = {"idle_share": idle / tdp}
    loaded = float(row["power_W_compute_bound_median"]) - idle
    found["flop_share"] = loaded / (tdp - idle) / (float(row["achieved_tflops_median"]) / peak)
    if row["power_W_memory_bound_median"] and dtype == "bfloat16":
        drawn = float(row["power_W_memory_bound_median"]) - idle
        pace = float(row["achieved_GBps_median"]) / float(device["mem_GBps"])
        found["byte_share"] = drawn / (tdp - idle) / pace
    return found


def metered(data: Path) -> list[dict[str, Any]]:
    devices = {r["id"]: r for r in csv.DictReader((data / "devices.csv").open())}
    found = []
    for row in csv.DictReader((data / "published/energy_gpu_effective.csv").open()):
        if row["dtype"] in NAMES:
            constants = shares(row, devices[IDS[row["device"]]])
            found.append({"id": IDS[row["device"]], "dtype": NAMES[row["dtype"]], **constants})
    return found


def evidence(
    rung: str,
    scope: str,
    dtype: str,
    constants: dict[str, float],
    points: int,
    spread: float,
    source: str,
) -> dict[str, Any]:
    rounded = {k: round(v, 3) for k, v in constants.items()}
    return {
        "what": "energy",
        "dtype": dtype,
        "rung": rung,
        "scope": scope,
        "constants": rounded,
        "spread": spread,
        "num_points": points,
        "source": source,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    rows, out = metered(data), []
    byte = median(r["byte_share"] for r in rows if "byte_share" in r)
    idle = median(r["idle_share"] for r in rows)
    for dtype in ("bfloat16", "float8", "float4"):
        mine = [r for r in rows if r["dtype"] == dtype]
        constants = {
            "idle_share": idle,
            "byte_share": byte,
            "flop_share": median(r["flop_share"] for r in mine),
        }
        out.append(evidence("architecture", "Blackwell", dtype, constants, len(mine), 1.2, METERED))
    prior = "prior: GPUs meet their TDP near the peak they reach; idle and byte share of Blackwell"
    gpu = {"idle_share": idle, "byte_share": byte, "flop_share": 1.25}
    out.append(evidence("kind", "gpu", "", gpu, len(rows), 1.4, prior))
    for kind, flop in (("tpu", 1.25), ("npu", 1.25), ("asic", 1.25), ("cpu", 1.5)):
        constants = {"idle_share": 0.3, "byte_share": byte, "flop_share": flop}
        out.append(
            evidence("kind", kind, "", constants, 0, 1.6, f"{prior}; none metered as a board")
        )
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(yaml.safe_dump(out, sort_keys=False))
    for row in out:
        print(row["rung"], row["scope"], row["dtype"], row["constants"])


if __name__ == "__main__":
    main()

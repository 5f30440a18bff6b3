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
    power = float(row["power_W_compute_bound_median"])
    found["loaded_share"] = power / tdp
    found["pace"] = float(row["achieved_tflops_median"]) / peak
    found["flop_share"] = (power - idle) / (tdp - idle) / found["pace"]
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


def cross_check(rows: list[dict[str, Any]]) -> None:
    """Power of each metered board in large GEMMs by the shares of the other board."""
    missed = []
    for row in rows:
        other = next(r for r in rows if r["id"] != row["id"] and r["dtype"] == row["dtype"])
        load = min(1.0, row["pace"] * other["flop_share"])
        guess = other["idle_share"] + (1 - other["idle_share"]) * load
        missed.append(abs(guess / row["loaded_share"] - 1))
    print(f"boards left out, large GEMMs: median error of power {median(missed):.3f}")


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


def priors(rows: list[dict[str, Any]], *, idle: float, byte: float) -> list[dict[str, Any]]:
    """Kinds of device: what bounds and the metered boards leave open.

    A100 and H100 reach 85 and 75 % of their 16-bit peaks in large GEMMs; if they meet their TDP
    there (from memory, not metered here) the share is 1.2 to 1.4; Blackwell's is 1.65. MLPerf's
    8-bit systems draw 95 % of the TDP of their cards at a third to a half of the peak, hence 2
    and more; Blackwell's is 2.3.
    """
    prior = "prior between A100, H100 (power limits) and Blackwell (metered); MLPerf at 8 bits"
    shares = {
        "": 1.25,
        "float16": 1.45,
        "bfloat16": 1.45,
        "int8": 2.2,
        "float8": 2.2,
        "float4": 2.3,
    }
    out = []
    for dtype, share in shares.items():
        constants = {"idle_share": idle, "byte_share": byte, "flop_share": share}
        out.append(evidence("kind", "gpu", dtype, constants, len(rows), 1.4, prior))
    for kind, share in (("tpu", 1.25), ("npu", 1.25), ("asic", 1.25), ("cpu", 1.5)):
        constants = {"idle_share": 0.3, "byte_share": byte, "flop_share": share}
        source = f"{prior}; no board of this kind metered"
        out.append(
            evidence(
                "kind", kind, dtype="", constants=constants, points=0, spread=1.6, source=source
            )
        )
    return out


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
    cross_check(rows)
    out += priors(rows, idle=idle, byte=byte)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(yaml.safe_dump(out, sort_keys=False))
    for row in out:
        print(row["rung"], row["scope"], row["dtype"], row["constants"])


if __name__ == "__main__":
    main()

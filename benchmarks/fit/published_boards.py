"""Draws the short tables `catalog/published/{mlperf,edge,fpga}.csv` from the bulk files.

    python benchmarks/fit/published_boards.py --data ../shared/data

The rule is stated per table: every Nth row in the order of the file, among rows whose device is
in the catalogue. No row is chosen for how well it fits.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from fpga_rows import FPGAS
from mlperf_rows import ID_OF
from npu import NPUS
from tiny_rows import FPGAS as TINY_FPGAS
from tiny_rows import SOCS

from fitwright.catalog.benchmarks import find_benchmark

MCUS = SOCS | TINY_FPGAS

OUT = Path(__file__).parents[2] / "src/fitwright/catalog/published"
COLUMNS = ("case", "domain", "device_id", "inputs", "metric", "measured", "unit", "source")
Raw = dict[str, str]


def raw_rows(data: Path, name: str) -> Iterator[Raw]:
    with (data / "published" / name).open() as file:
        yield from csv.DictReader(file)


def case(
    domain: str,
    device: str,
    inputs: dict[str, object],
    metric: str,
    raw: Raw,
    measured: str,
    unit: str,
) -> Raw:
    given = {k: v for k, v in inputs.items() if v not in ("", None)}
    return {
        "domain": domain,
        "device_id": device,
        "inputs": json.dumps(given),
        "metric": metric,
        "measured": measured,
        "unit": unit,
        "source": raw["source"],
    }


def mlperf(data: Path) -> Iterator[Raw]:
    """Every 14th row for speed, every 9th metered row for energy."""
    known = [
        r
        for r in raw_rows(data, "mlperf_best_per_device.csv")
        if r["device"].lower() in ID_OF and find_benchmark(r["benchmark"])
    ]
    for raw in known[::14]:
        inputs = {k: raw[k] for k in ("version", "benchmark", "scenario", "weight_dtype")}
        yield case(
            "e2e/mlperf",
            ID_OF[raw["device"].lower()],
            inputs,
            "best_value",
            raw,
            raw["best_value"],
            raw["unit"],
        )
    for raw in [r for r in known if r["best_energy_J_per_sample"]][::9]:
        inputs = {k: raw[k] for k in ("version", "benchmark", "scenario")}
        yield case(
            "energy/mlperf",
            ID_OF[raw["device"].lower()],
            inputs | {"n_devices": int(raw["n_devices"])},
            "best_energy_J_per_sample",
            raw,
            raw["best_energy_J_per_sample"],
            "J/sample (whole system)",
        )


def edge(data: Path) -> Iterator[Raw]:
    """Every 7th row of an NPU, every 12th of an MCU or a small FPGA."""
    for raw in [r for r in raw_rows(data, "edge_npu.csv") if r["device"] in NPUS][::7]:
        inputs = {
            "model": raw["model"],
            "input": raw["input"],
            "batch": int(raw["batch"]),
            "gops": raw["gops"],
            "params_M": raw["params_M"],
        }
        yield case("e2e/npu", NPUS[raw["device"]], inputs, "value", raw, raw["value"], raw["unit"])
    known = [r for r in raw_rows(data, "mlperf_tiny.csv") if r["soc"] in MCUS]
    for raw in known[::12]:
        inputs = {k: raw[k] for k in ("benchmark", "freq", "framework")}
        yield case(
            "e2e/mcu-fpga", MCUS[raw["soc"]], inputs, "latency_ms", raw, raw["latency_ms"], "ms"
        )


def fpga(data: Path) -> Iterator[Raw]:
    """Every 2nd row of a dense network."""
    known = [r for r in raw_rows(data, "fpga.csv") if r["device"] in FPGAS and r["layers"]]
    for raw in known[::2]:
        names = ("layers", "precision", "reuse_factor", "sparsity")
        inputs = {k: raw[k] for k in names}
        for domain, metric, column, unit in (
            ("fpga/latency", "latency_cycles", "latency_cycles", "cycles"),
            ("fpga/area", "lut", "lut", "LUT"),
        ):
            if raw[column]:
                yield case(domain, FPGAS[raw["device"]], inputs, metric, raw, raw[column], unit)


def write(name: str, rows: Iterable[Raw]) -> None:
    with (OUT / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for i, row in enumerate(rows, start=1):
            writer.writerow({"case": f"{name}-{i:02d}", **row})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    for name, draw in (("mlperf", mlperf), ("edge", edge), ("fpga", fpga)):
        write(name, draw(data))


if __name__ == "__main__":
    main()

"""Fits lookup tables and flip-flops of dense networks on FPGAs (see perf/fpga.py).

    python benchmarks/fit/fpga.py --data ../shared/data

Writes `src/fitwright/catalog/constants/fpga.yaml`; prints the errors of whole shapes left out.
Three constants for each resource, the form chosen among nine by these same errors. Cycles and DSP
blocks follow from the tool's rule for reuse; the two cycles a layer less one were read off the
rows, and so was the width from which multipliers are blocks.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from fpga_rows import Built, rows
from ridge import quantile, say
from tiny_rows import FPGAS as TINY_FPGAS

from fitwright.catalog.sheets import load_sheets
from fitwright.catalog.tiny import find_tiny
from fitwright.perf.boards.fpga import multipliers, reuses

OUT = Path(__file__).parents[2] / "src/fitwright/catalog/constants/fpga.yaml"
SOURCE = "wa-hls4ml data set (jdweitz/wa-hls4ml), post-synthesis reports at 200 MHz"
Terms = Callable[[Built], list[float]]


def lut_terms(row: Built) -> list[float]:
    widths = row.net.widths
    return [sum(widths[1:-1]), widths[-1], row.net.weight_bits * sum(widths[1:])]


def ff_terms(row: Built) -> list[float]:
    widths = row.net.widths
    return [widths[0], sum(widths[1:-1]), widths[-1]]


def solve(found: list[Built], terms: Terms, measured: list[float]) -> np.ndarray:
    """Least squares of relative errors."""
    weight = 1 / np.array(measured)
    x = np.array([terms(r) for r in found]) * weight[:, None]
    return np.asarray(np.linalg.lstsq(x, np.ones(len(found)), rcond=None)[0])


def left_out(found: list[Built], terms: Terms, measured: list[float]) -> list[float]:
    """Log errors, each shape predicted from the other shapes."""
    errors = [0.0] * len(found)
    for shape in {r.net.widths for r in found}:
        keep = [i for i, r in enumerate(found) if r.net.widths != shape]
        constants = solve([found[i] for i in keep], terms, [measured[i] for i in keep])
        for i, row in enumerate(found):
            if row.net.widths == shape:
                errors[i] = float(np.log(np.dot(terms(row), constants) / measured[i]))
    return errors


def evidence(
    what: str,
    rung: str,
    scope: str,
    constants: dict[str, float],
    spread: float,
    points: int,
    source: str,
) -> dict[str, Any]:
    rounded = {k: round(float(v), 4) for k, v in constants.items()}
    return {
        "what": what,
        "rung": rung,
        "scope": scope,
        "constants": rounded,
        "spread": spread,
        "num_points": points,
        "source": source,
    }


def tiny_constants(data: Path) -> tuple[dict[str, float], int]:
    """Cycles of FINN's and hls4ml's designs; shares of the DSP blocks of fpgaConvNet's."""
    cycles: dict[str, list[float]] = defaultdict(list)
    shares: dict[str, list[float]] = defaultdict(list)
    for raw in csv.DictReader((data / "published/mlperf_tiny.csv").open()):
        device, network = TINY_FPGAS.get(raw["soc"]), find_tiny(raw["benchmark"])
        if device is None or network is None:
            continue
        seconds = float(raw["latency_ms"]) * 1e-3
        if raw["framework"] == "FINN":
            variant = raw["benchmark"].lower().partition("/")[2]
            for name in (variant, network.name):
                cycles[name].append(seconds * 1e8)
        else:
            blocks = load_sheets()[device].fabric["dsp"].value
            shares[network.name].append(network.macs / (seconds * blocks * 1.5e8))
    found = {f"cycles:{k}": float(np.exp(np.mean(np.log(v)))) for k, v in cycles.items()}
    found |= {f"share:{k}": float(np.exp(np.mean(np.log(v)))) for k, v in shares.items()}
    return found | {"clock_hz": 1.5e8}, sum(map(len, [*cycles.values(), *shares.values()]))


def dense_constants(found: list[Built]) -> dict[str, float]:
    """Of the resource strategy; prints the errors of whole shapes left out."""
    luts, ffs = [r.lut for r in found], [r.ff for r in found]
    lut_errors, ff_errors = left_out(found, lut_terms, luts), left_out(found, ff_terms, ffs)
    say("LUT, shape left out", lut_errors)
    say("FF, shape left out", ff_errors)
    lut, ff = solve(found, lut_terms, luts), solve(found, ff_terms, ffs)
    return {
        "cycles_per_layer": 2,
        "cycles": -1,
        "widest_in_luts": 7,
        "lut_hidden": lut[0],
        "lut_output": lut[1],
        "lut_bit": lut[2],
        "ff_input": ff[0],
        "ff_hidden": ff[1],
        "ff_output": ff[2],
        "spread_lut": max(1.1, quantile(lut_errors)),
        "spread_ff": 1.05,
        "spread_dsp": 1.1,
    }


def say_rules(found: list[Built]) -> None:
    """Prints the errors of what follows from the tool's rules and is not fitted."""
    say(
        "cycles by the rule for reuse",
        [np.log((sum(reuses(r.net)) + 2 * len(r.net.layers) - 1) / r.cycles) for r in found],
    )
    blocks = [r for r in found if r.net.weight_bits >= 8]
    say("DSP, 8 bits and more", [np.log(multipliers(r.net) / r.dsp) for r in blocks])


def priors() -> list[dict[str, Any]]:
    """What no row here tells: from papers, and not fitted."""
    latency = {
        "cycles_per_layer": 2,
        "cycles": 1,
        "tree_levels": 6,
        "widest_in_luts": 9,
        "lut_per_bit_operation": 1.0,
        "ff_per_lut": 0.3,
    }
    folded = {"macs_per_lut": 0.094, "share_lut": 0.58, "share_ff": 0.31, "share_dsp": 0.12}
    hgq = "prior: LUT = bit operations (HGQ), one level of adders in six a cycle; not fitted"
    finn = "FINN (FPGA 2017) and BNN-PYNQ: designs that fill their part"
    return [
        evidence("fpga_latency", "kind", "fpga", latency, 1.6, 0, hgq),
        evidence("fpga_folded", "kind", "fpga", folded, 1.8, 3, finn),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    found = rows(data)
    dense = dense_constants(found)
    say_rules(found)
    tiny, points = tiny_constants(data)
    tiny_source = "MLCommons tiny results v0.7, v1.1"
    out = [
        evidence("fpga_resource", "family", "amd-fpga", dense, 1.08, len(found), SOURCE),
        evidence("fpga_resource", "kind", "fpga", dense, 1.4, len(found), SOURCE),
        *priors(),
        evidence("fpga_tiny", "kind", "fpga", tiny, 2.0, points, tiny_source),
    ]
    OUT.write_text(yaml.dump(out, sort_keys=False, Dumper=yaml.CSafeDumper))


if __name__ == "__main__":
    main()

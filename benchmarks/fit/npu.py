"""Fits edge NPUs to published frame rates and latencies (see perf/npu.py).

    python benchmarks/fit/npu.py --data ../shared/data

Writes `src/fitwright/catalog/constants/npu.yaml`; prints errors with whole networks left out.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ridge import quantile, say

from fitwright.catalog.networks import find_network
from fitwright.catalog.sheets import load_sheets
from fitwright.perf.boards.npu import Run, engine_style, sample_s

OUT = Path(__file__).parents[2] / "src/fitwright/catalog/constants/npu.yaml"
NPUS = {
    "Hailo-8": "hailo-8",
    "Coral Dev Board (Edge TPU)": "coral-edgetpu",
    "Galaxy S24 (Snapdragon 8 Gen 3) Hexagon NPU": "hexagon-8gen3",
    "Snapdragon X Elite Hexagon NPU": "hexagon-xelite",
    "RB3 Gen2 (QCS6490) Hexagon NPU": "qcs6490",
}
USB = "Coral USB Accelerator + desktop CPU (USB 3)"
HOSTS = ("Cortex-A53 1.5 GHz (Dev Board CPU)", "Desktop CPU 64-bit Xeon Gold 6154 3.0 GHz")
BEYOND_THE_LINK = ("Inception-ResNet v2 299",)
"""48 MB more than the chip holds in 57 ms would be 0.84 GB/s, twice what the links of every other
network give: no row of it shapes the constants; held out, it counts."""
SHRUNK = 0.25
"""Rows' worth of doubt about what a network adds."""
Constants = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One network with its time per sample."""

    device: str
    model: str
    run: Run
    seconds: float


def timed(data: Path, names: dict[str, str]) -> list[Timed]:
    found = []
    for raw in csv.DictReader((data / "published/edge_npu.csv").open()):
        network = find_network(raw["model"])
        if raw["device"] not in names or network is None:
            continue
        if raw["input"]:
            network = network.at_side(float(raw["input"]))
        ops = float(raw["gops"]) * 1e9 if raw["gops"] else 2 * network.macs
        weights = float(raw["params_M"]) * 1e6 if raw["params_M"] else network.parameters
        run = Run(
            style=engine_style(network.name, network.style),
            ops=ops,
            weight_bytes=weights,
            activations=network.activations or 0.0,
            num_layers=network.num_layers or 0,
            batch=int(raw["batch"]),
            network=network.name,
            host="embedded" if "Dev Board" in raw["device"] else "desktop",
        )
        value = float(raw["value"])
        seconds = 1 / value if raw["unit"] == "FPS" else value * 1e-3
        found.append(
            Timed(device=names[raw["device"]], model=raw["model"], run=run, seconds=seconds)
        )
    return found


def predicted(row: Timed, constants: Constants) -> float:
    sheet = load_sheets()[row.device]
    peak = sheet.peaks["int8"].value
    plain_s = sample_s(row.run, sheet=sheet, peak=peak, constants=constants)
    return plain_s * math.exp(constants.get(f"network:{row.run.network}", 0.0))


def gaps(found: Sequence[Timed], constants: Constants) -> list[float]:
    return [math.log(predicted(r, constants) / r.seconds) for r in found]


def descend(
    found: Sequence[Timed], start: Constants, free: dict[str, Sequence[float]]
) -> Constants:
    """Coordinate descent over the values each may take.

    On the mean root of absolute log errors: networks that fit badly for reasons of their own pull
    little.
    """
    best, kept = dict(start), [r for r in found if r.model not in BEYOND_THE_LINK]
    for _ in range(3):
        for name, values in free.items():
            costs = [float(np.mean(np.sqrt(np.abs(gaps(kept, best | {name: v}))))) for v in values]
            best[name] = values[int(np.argmin(costs))]
    return best


def host_slower(data: Path) -> float:
    """The Dev Board's CPU over the desktop's: the median of networks that ran on both alone."""
    took: dict[str, dict[str, float]] = defaultdict(dict)
    for raw in csv.DictReader((data / "published/edge_npu.csv").open()):
        for host in HOSTS:
            if raw["device"].startswith(host) and "EdgeTpu" not in raw["model"]:
                took[raw["model"]][host] = float(raw["value"])
    both = [by for by in took.values() if len(by) == len(HOSTS)]
    return float(np.median([by[HOSTS[0]] / by[HOSTS[1]] for by in both]))


def coral(found: Sequence[Timed], *, slower: float) -> Constants:
    """Dev Board and USB stick: the same chip, other links and hosts."""
    start = {"u": 0.35, "layer_s": 3e-5, "start_s": 3e-4, "link_bytes_per_s": 4.4e8}
    start |= {"link_bytes_per_s:embedded": 4e8, "host_slower": slower, "host_s:detector": 2e-3}
    free: dict[str, Sequence[float]] = {
        "u": (0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6),
        "u:depthwise": (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4),
        "u:dense": (0.1, 0.15, 0.2, 0.3, 0.4),
        "u:detector": (0.05, 0.1, 0.15, 0.2, 0.3),
        "layer_s": (0.0, 5e-6, 1e-5, 1.5e-5, 2e-5, 2.5e-5, 3e-5, 4e-5, 5e-5),
        "start_s": (1e-4, 3e-4, 6e-4, 1e-3, 1.5e-3),
        "link_bytes_per_s": (3.6e8, 4e8, 4.4e8, 4.8e8, 5.2e8),
        "link_bytes_per_s:embedded": (3.2e8, 3.6e8, 4e8, 4.4e8, 4.8e8),
        "host_s:detector": (5e-4, 1e-3, 1.5e-3, 2e-3, 2.5e-3, 3e-3),
    }
    return descend(found, start, free)


def hailo(found: Sequence[Timed]) -> Constants:
    start = {
        "u": 0.38,
        "activations_per_s": 1.7e10,
        "frame_s": 1 / 3500,
        "context_s": 3.5e-3,
        "link_bytes_per_s": 4.4e9,
        # which networks are cut shows in their rates at batch 1 and 8: read off all rows, so
        # that leaving a network out does not test these four
        "most_layers": 90,
        "most_layers:vit": 49,
        "most_layers:window": 0,
        "most_layers:dense": 57,
        "squeeze:vit": 1.2,
        "squeeze:window": 1.2,
        "squeeze:detector": 1.2,
    }
    steps = (1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.0)
    free: dict[str, Sequence[float]] = {
        "u": (0.34, 0.37, 0.4, 0.43),
        "activations_per_s": (1.4e10, 1.7e10, 2e10),
        "context_s": (2.5e-3, 3.5e-3, 4.5e-3),
        "squeeze:plain": steps,
        "squeeze:depthwise": steps,
        "squeeze:dense": steps,
        "growth:depthwise": (0.0, 1.0, 2.0, 3.0),
    }
    return descend(found, start, free)


Fit = Callable[[Sequence[Timed]], Constants]


def left_out(found: Sequence[Timed], fit: Fit) -> list[float]:
    """Errors of networks that the fit did not see."""
    errors = []
    for model in sorted({r.run.network for r in found}):
        constants = fit([r for r in found if r.run.network != model])
        errors += gaps([r for r in found if r.run.network == model], constants)
    return errors


def row_out(found: Sequence[Timed], fit: Fit) -> list[float]:
    """Errors of rows whose network was fitted at another batch or host."""
    errors = []
    for i, row in enumerate(found):
        others = [r for j, r in enumerate(found) if j != i]
        if any(r.run.network == row.run.network for r in others):
            errors += gaps([row], with_characters(others, fit(others)))
    return errors


def with_characters(found: Sequence[Timed], constants: Constants) -> Constants:
    """The constants, and what each network adds to them."""
    missed = defaultdict(list)
    for row, gap in zip(found, gaps(found, constants), strict=True):
        missed[f"network:{row.run.network}"].append(-gap)
    return constants | {k: sum(v) / (len(v) + SHRUNK) for k, v in missed.items()}


def evidence(
    rung: str, scope: str, constants: Constants, spread: float, points: int, source: str
) -> dict[str, Any]:
    rounded = {k: float(f"{v:.4g}") for k, v in constants.items()}
    return {
        "what": "npu",
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
    by_device = defaultdict(list)
    for row in timed(data, NPUS | {USB: "coral-edgetpu"}):
        by_device[row.device].append(row)
    out = []
    on_coral = partial(coral, slower=host_slower(data))
    for device, fit, source in (
        ("coral-edgetpu", on_coral, "coral.ai, Edge TPU performance benchmarks"),
        ("hailo-8", hailo, "hailo_model_zoo, HAILO8_classification"),
    ):
        found = by_device[device]
        errors = left_out(found, fit)
        known = row_out(found, fit)
        say(f"{device}, network left out", errors)
        say(f"{device}, one row left out", known)
        family = load_sheets()[device].family
        constants = fit(found)
        own = with_characters(found, constants)
        own |= {"known_network_spread": max(1.12, quantile(known))}
        out.append(evidence("device", device, own, quantile(errors), len(found), source))
        out.append(evidence("family", family, constants, 2.0, len(found), source))
    out += hexagons(by_device)
    OUT.write_text(yaml.dump(out, sort_keys=False, Dumper=yaml.CSafeDumper))


def hexagons(by_device: dict[str, list[Timed]]) -> list[dict[str, Any]]:
    """One network was published: a share of the int8 peak each, and their median."""
    out, shares = [], []
    source = "Qualcomm AI Hub, ResNet-50 on Hexagon NPUs"
    for device in ("hexagon-8gen3", "hexagon-xelite", "qcs6490"):
        found = by_device[device]
        peak = load_sheets()[device].peaks["int8"].value
        share = float(np.median([(r.run.ops / r.seconds) / peak for r in found]))
        shares.append(share)
        slow = {
            "u": share,
            "u:depthwise": share / 3,
            "u:dense": share / 2,
            "u:detector": share / 1.5,
        }
        out.append(evidence("device", device, slow | {"start_s": 1e-4}, 1.6, len(found), source))
    share = float(np.median(shares))
    typical = {
        "u": share,
        "u:depthwise": share / 3,
        "u:dense": share / 2,
        "u:detector": share / 1.5,
    }
    out.append(evidence("family", "qualcomm-npu", typical | {"start_s": 1e-4}, 2.0, 3, source))
    prior = "median of the Edge TPU, Hailo-8 and Hexagon; depthwise networks a third"
    kind = {"u": 0.3, "u:depthwise": 0.1, "u:dense": 0.15, "start_s": 2e-4}
    points = {"npu": 3, "asic": 0}
    return out + [evidence("kind", k, kind, 2.5, n, prior) for k, n in points.items()]


if __name__ == "__main__":
    main()

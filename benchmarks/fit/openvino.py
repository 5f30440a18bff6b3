"""Fits networks under OpenVINO: writes `catalog/constants/openvino.yaml`, prints held-out errors.

Run by hand: ``python benchmarks/fit/openvino.py --data ../shared/data``. The table is short
(four devices, ten networks), so every group of devices shares its constants, pulled towards
stated priors, and each device adds one level.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from scipy.optimize import least_squares  # type: ignore[import-untyped]

from fitwright.catalog.evidence import evidence
from fitwright.catalog.networks import find_network
from fitwright.catalog.sheets import load_sheets
from fitwright.catalog.transformers import find_transformer
from fitwright.perf.network.character import backbone_style
from fitwright.perf.network.time import Setting, activation_facts, multiplies_in, peak_of, plain_s
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet
from fitwright.records.workload import Workload

OUT = Path("src/fitwright/catalog/constants/openvino.yaml")
SOURCE = (
    "openvinotoolkit/openvino:docs/sphinx_setup/_static/benchmarks_files/data/graph-data-ov.json"
)
DEVICES = {
    "Xeon 6979P": "xeon-6979p",
    "Core Ultra 7 155H": "core-ultra-155h",
    "Data Center GPU Flex 170": "flex-170",
    "Arc B580": "arc-b580",
}
DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "int8": "int8"}
STYLES = ("plain", "depthwise", "vit", "detector")
FACTS = activation_facts(evidence("networks"))
Parameters = dict[str, float]
# name: (prior of the logarithm, how far it may lie from it)
PRIOR: Mapping[str, tuple[float, float]] = {
    "compute.float32": (0.3, 0.3),
    "compute.16": (0.9, 0.4),
    "compute.int8": (0.8, 0.4),
    "compute.matrix": (1.2, 0.4),
    "traffic": (0.3, 0.5),
    "start": (math.log(10e-6), 1.0),
    "layer": (math.log(15e-6), 1.0),
    "layer.vit": (0.7, 0.4),
    "smooth": (math.log(300.0), 0.5),
    "traffic.depthwise": (0.7, 0.5),
    "style.depthwise": (0.4, 0.3),
    "style.vit": (0.2, 0.3),
    "style.detector": (0.3, 0.3),
}


@dataclass(frozen=True)
class Row:
    """One published figure, as the time of one sample."""

    device: str
    setting: Setting
    workload: Workload
    sample_s: float

    @property
    def sheet(self) -> Sheet:
        return load_sheets()[self.device]

    @property
    def peak(self) -> float:
        peak = peak_of(self.sheet, self.setting.dtype)
        assert peak is not None, (self.device, self.setting.dtype)
        return peak


def device_of(text: str) -> str:
    return next(d for name, d in DEVICES.items() if text.startswith(name))


def read(path: Path) -> list[Row]:
    """Throughput and latency of one device; the CPU and GPU together are told apart later."""
    rows = []
    for r in csv.DictReader(path.read_text().splitlines()):
        if r["metric"] == "llm_throughput" or "together" in r["note"]:
            continue
        known = find_network(r["model"])
        assert known is not None, r["model"]
        is_latency, device = r["metric"] == "latency", device_of(r["device"])
        setting = Setting(
            dtype=DTYPES[r["dtype"]],
            mode="latency" if is_latency else "infer",
            runtime="openvino",
            sockets=2 if device.startswith("xeon") and not is_latency else 1,
            units=multiplies_in(load_sheets()[device], DTYPES[r["dtype"]]),
        )
        workload = known.model_copy(update={"style": backbone_style(known)})
        value = float(r["value"])
        rows.append(Row(device, setting, workload, value / 1e3 if is_latency else 1 / value))
    return rows


def units(row: Row) -> str:
    """Which units of a device compute: matrix units where it has them, else by dtype."""
    dtype = row.setting.dtype
    if dtype == "float32":
        return "float32"
    if dtype == "int8":
        return row.setting.units or "int8"
    return "16"


def constants_of(p: Parameters, *, compute: str, is_latency: bool, level: float) -> Parameters:
    """As `plain_s` reads them, for one dtype: everything times exp(level)."""
    scale = math.exp(level)
    found = {
        "start_s": 0.0 if is_latency else scale * math.exp(p["start"]),
        "smooth": scale * math.exp(p["smooth"]),
        "weights": 0.3,
        "has_launches": 0.0,
    }
    for style in STYLES:
        by = p.get(f"style.{style}", 0.0)
        found[f"compute.{style}"] = max(1.0, scale * math.exp(p[f"compute.{compute}"] + by))
        found[f"traffic.{style}"] = scale * math.exp(p["traffic"] + p.get(f"traffic.{style}", 0.0))
        layer_s = scale * math.exp(p["layer"] + p.get(f"layer.{style}", 0.0))
        found[f"layer_s.{style}"] = layer_s if is_latency else 0.0
    for style, like in (
        ("window", "vit"),
        ("dense", "plain"),
        ("recurrent", "vit"),
        ("ranking", "vit"),
    ):
        found[f"compute.{style}"] = found[f"compute.{like}"]
        found[f"traffic.{style}"] = found[f"traffic.{like}"]
        found[f"layer_s.{style}"] = found[f"layer_s.{like}"]
    return found


def predicted(row: Row, p: Parameters) -> float:
    bandwidth = row.sheet.bandwidth_bytes_per_s
    assert bandwidth is not None
    is_latency = row.setting.mode == "latency"
    c = constants_of(
        p, compute=units(row), is_latency=is_latency, level=p.get(f"level.{row.device}", 0.0)
    )
    return plain_s(
        row.workload,
        row.setting,
        peak=row.peak * row.setting.sockets,
        bandwidth=bandwidth.value * row.setting.sockets,
        constants=c,
        facts=FACTS,
        vector_peak=row.sheet.peaks["float32"].value * row.setting.sockets,
    )


def fit(rows: Sequence[Row], *, seen_level: float = 0.35) -> Parameters:
    """Least soft errors of the logarithm, with the priors as further rows."""
    prior = dict(PRIOR) | {f"level.{d}": (0.0, seen_level) for d in {r.device for r in rows}}
    names = list(prior)

    def misses(x: np.ndarray) -> np.ndarray:
        p = dict(zip(names, x, strict=True))
        data = [math.log(predicted(r, p) / r.sample_s) / 0.15 for r in rows]
        pulls = [(p[n] - middle) / width for n, (middle, width) in prior.items()]
        return np.array(data + pulls)

    start = np.array([prior[n][0] for n in names])
    found = least_squares(misses, start, loss="soft_l1", max_nfev=60)
    return dict(zip(names, map(float, found.x), strict=True))


def held_out(rows: Sequence[Row], key: Callable[[Row], str]) -> np.ndarray:
    found = np.zeros(len(rows))
    for k in sorted({key(r) for r in rows}):
        p = fit([r for r in rows if key(r) != k])
        for i, r in enumerate(rows):
            if key(r) == k:
                found[i] = predicted(r, p) / r.sample_s - 1
    return found


def spread_of(error: np.ndarray) -> float:
    return float(np.exp(np.quantile(np.abs(np.log1p(error)), 0.8)))


def told(label: str, error: np.ndarray) -> None:
    size = np.abs(error)
    print(
        f"{label:52s} n {len(error):3d}  median {np.median(size):.3f}  p90 "
        f"{np.quantile(size, 0.9):.3f}  bias {np.median(error):+.3f}  80 % {spread_of(error):.2f}",
        flush=True,
    )


def group(rows: Sequence[Row]) -> list[Evidence]:
    """One kind of device, one mode: held-out errors told, evidence of every rung."""
    mode, kind = rows[0].setting.mode, rows[0].sheet.kind
    known = held_out(rows, lambda r: r.workload.name)
    told(f"{kind} {mode}: other networks, known device", known)
    devices = sorted({r.device for r in rows})
    apart = held_out(rows, lambda r: r.device)
    told(f"{kind} {mode}: device left out", apart)
    near, far = max(1.15, spread_of(known)), max(1.5, spread_of(apart))
    told(f"{kind} {mode}: other rows, known device and network", rows_out(rows))
    p, found = fit(rows), []
    levels = {d: p[f"level.{d}"] for d in devices}
    for dtype, units_ in sorted({(r.setting.dtype, r.setting.units) for r in rows}):
        compute = {"int8": units_ or "int8", "float32": "float32"}.get(dtype, "16")
        for device in devices:
            sheet = load_sheets()[device]
            if dtype in sheet.peaks and multiplies_in(sheet, dtype) == units_:
                own = {"compute": compute, "level": levels[device], "units_": units_}
                found.append(_row(p, rows, dtype, "device", device, near, own))
        shared = {"compute": compute, "level": 0.0, "units_": units_}
        family = load_sheets()[devices[0]].family
        found.append(_row(p, rows, dtype, "family", family, far, shared))
        found.append(_row(p, rows, dtype, "kind", kind, 1.3 * far, shared))
    return found


def rows_out(rows: Sequence[Row]) -> np.ndarray:
    """Every fifth row held out in turn."""
    return held_out(list(rows), lambda r: str(rows.index(r) % 5))


def _row(
    p: Parameters,
    rows: Sequence[Row],
    dtype: str,
    rung: str,
    scope: str,
    spread: float,
    own: Mapping[str, object],
) -> Evidence:
    mode = rows[0].setting.mode
    constants = constants_of(
        p,
        is_latency=mode == "latency",
        compute=str(own["compute"]),
        level=float(str(own["level"])),
    )
    if rung == "device":  # what the device adds to its family
        shared = constants_of(
            p, is_latency=mode == "latency", compute=str(own["compute"]), level=0.0
        )
        constants = {k: v - shared[k] for k, v in constants.items()}
    return Evidence.model_validate(
        {
            "what": replace(rows[0].setting, units="matrix" if own["units_"] else "").what,
            "dtype": dtype,
            "rung": rung,
            "scope": scope,
            "constants": {k: float(f"{v:.3g}") for k, v in constants.items()},
            "spread": round(spread, 3),
            "num_points": len(rows),
            "source": SOURCE,
        }
    )


def together(path: Path, rows: Sequence[Row]) -> float:
    """How many times the CPU's throughput both reach: the median of networks that state both."""
    alone = {
        (r.workload.name, r.setting.dtype): r.sample_s
        for r in rows
        if r.device == "core-ultra-155h"
    }
    p, ratios = fit(rows), []
    for r in csv.DictReader(path.read_text().splitlines()):
        known = find_network(r["model"])
        if "together" in r["note"] and known is not None:
            dtype = "int8" if r["dtype"] == "int8" else "float32"
            workload = known.model_copy(update={"style": backbone_style(known)})
            setting = Setting(dtype=dtype, runtime="openvino")
            cpu_s = alone.get((known.name, dtype)) or predicted(
                Row("core-ultra-155h", setting, workload, 1.0), p
            )
            ratios.append(float(r["value"]) * cpu_s)
    print("CPU and GPU together over the CPU alone:", np.round(ratios, 2))
    return float(np.median(ratios))


def decoding(path: Path) -> list[Evidence]:
    """Share of the bandwidth that reading the weights for each token reaches."""
    shares: dict[str, list[float]] = {}
    for r in csv.DictReader(path.read_text().splitlines()):
        shape = find_transformer(r["model"]) if r["metric"] == "llm_throughput" else None
        if shape is None:
            continue
        device = device_of(r["device"])
        bandwidth = load_sheets()[device].bandwidth_bytes_per_s
        assert bandwidth is not None
        width = {"int4": 0.57, "int8": 1.02}.get(r["dtype"], 2.0)
        read_bytes = (shape.parameters - shape.vocab * shape.hidden * (not shape.tied)) * width
        shares.setdefault(device, []).append(float(r["value"]) * read_bytes / bandwidth.value)
    found = []
    for device, values in shares.items():
        middle = float(np.median(values))
        spread = spread_of(np.array([v / middle - 1 for v in values]))
        print("decoding", device, np.round(values, 2), round(middle, 2), round(spread, 2))
        found.append(_decoding("device", device, middle, max(1.15, spread), len(values)))
        sheet = load_sheets()[device]
        found.append(_decoding("family", sheet.family, middle, 1.5, len(values)))
        found.append(_decoding("kind", sheet.kind, middle, 1.8, len(values)))
    return list({(e.rung, e.scope): e for e in found}.values())


def _decoding(rung: str, scope: str, share: float, spread: float, count: int) -> Evidence:
    return Evidence.model_validate(
        {
            "what": "network/decode/openvino",
            "rung": rung,
            "scope": scope,
            "constants": {"share": round(min(1.0, share), 3)},
            "spread": round(spread, 3),
            "num_points": count,
            "source": SOURCE,
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    path = parser.parse_args().data / "published" / "openvino.csv"
    rows, found = read(path), decoding(path)
    for kind in ("cpu", "gpu"):
        for mode in ("infer", "latency"):
            at = [r for r in rows if r.sheet.kind == kind and r.setting.mode == mode]
            if at:
                found += group(at)
    cpu = [r for r in rows if r.sheet.kind == "cpu" and r.setting.mode == "infer"]
    both = {"with_gpu": round(together(path, cpu), 2)}
    found.append(
        Evidence(
            what="network/with_gpu/openvino",
            rung="family",
            scope="intel-cpu",
            constants=both,
            spread=1.5,
            num_points=8,
            source=SOURCE,
        )
    )
    dumped = [e.model_dump(exclude_defaults=True) for e in found]
    head = "# Written by benchmarks/fit/openvino.py; see perf/network/time.py for the formula.\n"
    rows_text = (
        "- " + yaml.safe_dump(d, default_flow_style=True, width=10**9, sort_keys=False)
        for d in dumped
    )
    OUT.write_text(head + "".join(rows_text))


if __name__ == "__main__":
    main()

"""Fits networks under OpenVINO: writes `catalog/constants/openvino.yaml`, prints held-out errors.

Run by hand: ``python benchmarks/fit/openvino.py --data ../shared/data``. The table is short
(four devices, eight networks), so all rows are fitted together: CPUs under load, CPUs one sample
after the other and GPUs have constants of their own, pulled towards stated priors; devices add
levels, and what a network is like is found from all its rows, wherever they were measured.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from openvino_decode import decoding
from openvino_fit import Parameters, Sum, Term, fit, predicted
from openvino_rows import Row, device_of, read, units

from fitwright.catalog.evidence import evidence
from fitwright.catalog.networks import find_network
from fitwright.catalog.sheets import load_sheets
from fitwright.perf.network.character import (
    activations,
    backbone_style,
    family_of,
    is_smooth,
    proposes,
)
from fitwright.perf.network.time import (
    USUAL_LAYERS,
    USUAL_UNITS,
    WIDTH,
    Setting,
    activation_facts,
    multiplies_in,
)
from fitwright.records.evidence import Evidence

OUT = Path("src/fitwright/catalog/constants/openvino.yaml")
SOURCE = (
    "openvinotoolkit/openvino:docs/sphinx_setup/_static/benchmarks_files/data/graph-data-ov.json"
)
STYLES = {s: s for s in ("plain", "depthwise", "vit", "detector")} | {
    "window": "vit",
    "dense": "plain",
    "recurrent": "vit",
    "ranking": "vit",
}
"""Styles, and whose constants those have that were not measured."""
FACTS = activation_facts(evidence("networks"))
COMPUTE = {"float32": (0.3, 0.3), "16": (0.9, 0.4), "int8": (0.8, 0.4), "matrix": (1.2, 0.4)}
"""Prior of the logarithm of peak over reached, and how far it may lie from it; GPUs below."""
GROUP: Mapping[str, tuple[float, float]] = {
    "traffic": (0.3, 0.5),
    "start": (math.log(10e-6), 1.0),
    "layer": (math.log(15e-6), 1.0),
    "smooth": (math.log(200.0), 1.0),
    "compute.depthwise": (0.4, 0.3),
    "compute.vit": (0.2, 0.3),
    "compute.detector": (0.3, 0.3),
    "traffic.depthwise": (0.5, 0.4),
    "layer.vit": (0.7, 0.4),
    "layer.smooth": (0.5, 0.3),
}
ON_GPU: Mapping[str, tuple[float, float]] = {
    "compute.16": (1.5, 0.4),
    "compute.int8": (2.0, 0.4),
    "start": (math.log(20e-6), 1.0),
    "layer": (math.log(5e-6), 0.7),
}
"""One sample's products fill few cores of a GPU, so that starting each kernel counts."""
IN_TURN: Mapping[str, tuple[float, float]] = {
    "compute": (0.2, 0.3),
    "between": (math.log(10e-3), 1.0),
}
"""One sample after the other on a CPU: products are as under load, but slower by this; between
two stages one core sorts thousands of boxes."""
WAITING = (0.6, 0.15)
"""Exponent of the cores in what all of them share of one sample: layers and products."""
DEVICE, DEVICE_GROUP, DEVICE_UNITS = 0.35, 0.17, 0.15
NETWORK, NETWORK_GROUP, NETWORK_NARROW, NETWORK_DEVICE = 0.2, 0.25, 0.1, 0.15
"""How far levels of devices and characters of networks usually lie from 0: in all rows, in one
group, in one kind of arithmetic units; on one GPU, whose architecture has kernels of its own."""
WEIGHTS = 0.3
"""Of the weights are read from memory for each sample; the rest stays in caches."""
GROUPS = ("cpu/infer", "cpu/latency", "gpu/infer")
UNDER_LOAD = {"cpu/infer": "cpu/infer", "cpu/latency": "cpu/infer", "gpu/infer": "gpu/infer"}
"""The group whose utilisations a group starts from."""


def prior_of(rows: Sequence[Row]) -> dict[str, tuple[float, float]]:
    """Of every parameter that these rows can have."""
    found = {"waiting": WAITING}
    for g in GROUPS:
        own = {f"compute.{u}": prior for u, prior in COMPUTE.items()} | dict(GROUP)
        own |= ON_GPU if g.startswith("gpu") else {}
        own |= IN_TURN if g.endswith("latency") else {}
        found |= {f"{g}/{name}": prior for name, prior in own.items()}
    for d in sorted({r.device for r in rows}):
        found[f"device/{d}"] = (0.0, DEVICE)
        found |= {f"device/{d}/{g}": (0.0, DEVICE_GROUP) for g in GROUPS}
        found |= {f"device/{d}/{u}": (0.0, DEVICE_UNITS) for u in COMPUTE}
    for w in sorted({r.workload.name for r in rows}):
        found[f"network/{w}"] = (0.0, NETWORK)
        found[f"network/{w}/narrow"] = (0.0, NETWORK_NARROW)
        found |= {f"network/{w}/{g}": (0.0, NETWORK_GROUP) for g in GROUPS}
        gpus = {r.device for r in rows if r.sheet.kind == "gpu"}
        found |= {f"network/{w}/{d}": (0.0, NETWORK_DEVICE) for d in sorted(gpus)}
    return found


def sum_of(row: Row) -> Sum:
    """The terms of `plain_s`, with the parameters that each of them has."""
    g, style, work, sockets = row.group, row.workload.style, row.workload, row.setting.sockets
    bandwidth = row.sheet.bandwidth_bytes_per_s
    assert bandwidth is not None
    per_byte = WIDTH[row.setting.dtype] / (bandwidth.value * sockets)
    written = activations(work, FACTS)
    terms = [
        Term(2 * work.macs / (row.peak * sockets), compute_of(row)),
        Term(per_byte * written, _by(g, "traffic", style)),
        Term(per_byte * work.parameters * WEIGHTS, {}),
    ]
    if is_smooth(work.name):
        vector = row.sheet.peaks["float32"].value * sockets
        terms.append(Term(written / vector, _by(g, "smooth", style)))
    if g != "cpu/infer":
        smooth = {f"{g}/layer.smooth": 1.0} if is_smooth(work.name) else {}
        layer = _by(g, "layer", style) | waiting(row) | smooth
        terms.append(Term(work.num_layers or USUAL_LAYERS, layer))
    if g == "cpu/latency" and proposes(work.name):
        terms.append(Term(1.0, _by(g, "between", style)))
    if g != "cpu/latency":
        terms.append(Term(1.0, _by(g, "start", style)))
    return Sum(terms, dict.fromkeys(levels_of(row) + characters_of(row), 1.0), row.sample_s)


def _by(g: str, name: str, style: str) -> dict[str, float]:
    """What all styles share of a term, and what this style adds."""
    found = {f"{g}/{name}": 1.0}
    return found | ({f"{g}/{name}.{style}": 1.0} if f"{name}.{style}" in GROUP else {})


def compute_of(row: Row) -> dict[str, float]:
    """Parameters of the products: those under load, and what one sample alone adds."""
    g, style = row.group, row.workload.style
    loaded = UNDER_LOAD[g]
    found = _by(loaded, "compute", style) | {f"{loaded}/compute.{units(row)}": 1.0}
    del found[f"{loaded}/compute"]
    return found if loaded == g else found | {f"{g}/compute": 1.0} | waiting(row)


def waiting(row: Row) -> dict[str, float]:
    """Where all cores of a CPU share one sample: the more they are, the longer."""
    cores = row.sheet.num_units
    assert cores is not None
    is_shared = row.group == "cpu/latency"
    return {"waiting": math.log(cores.value / USUAL_UNITS)} if is_shared else {}


def levels_of(row: Row) -> list[str]:
    d = f"device/{row.device}"
    return [d, f"{d}/{row.group}", f"{d}/{units(row)}"]


def characters_of(row: Row) -> list[str]:
    w = f"network/{row.workload.name}"
    narrow = [] if row.setting.dtype == "float32" else [f"{w}/narrow"]
    apart = [f"{w}/{row.device}"] if row.sheet.kind == "gpu" else []
    return [w, f"{w}/{row.group}", *narrow, *apart]


def held_out(rows: Sequence[Row], keys: Sequence[object]) -> np.ndarray:
    """Errors of each row, fitted to all rows of other keys."""
    prior, sums = prior_of(rows), [sum_of(r) for r in rows]
    found = np.zeros(len(rows))
    for k in sorted(set(keys), key=str):
        p = fit([s for s, key in zip(sums, keys, strict=True) if key != k], prior)
        for i, s in enumerate(sums):
            if keys[i] == k:
                found[i] = predicted(s, p) / s.seconds - 1
    return found


def constants_of(p: Parameters, g: str, *, unit: str, level: float) -> Parameters:
    """As `plain_s` reads them, for one group and dtype: everything times exp(level)."""
    loaded, is_latency, scale = UNDER_LOAD[g], g == "cpu/latency", math.exp(level)
    slower = p.get(f"{g}/compute", 0.0)
    found = {
        "start_s": 0.0 if is_latency else scale * math.exp(p[f"{g}/start"]),
        "smooth": scale * math.exp(p[f"{g}/smooth"]),
        "weights": scale * WEIGHTS,
        "has_launches": 0.0,
    }
    found |= {"between_stages_s": scale * math.exp(p[f"{g}/between"])} if is_latency else {}
    for style, like in STYLES.items():

        def term(group: str, name: str, of: str = "", *, like: str = like) -> float:
            return math.exp(p[f"{group}/{name}{of}"] + p.get(f"{group}/{name}.{like}", 0.0))

        compute = math.exp(slower) * term(loaded, "compute", f".{unit}")
        found[f"compute.{style}"] = max(1.0, scale * compute)
        found[f"traffic.{style}"] = scale * term(g, "traffic")
        found[f"layer_s.{style}"] = 0.0 if g == "cpu/infer" else scale * term(g, "layer")
    return found


def characters(p: Parameters, g: str, *, is_narrow: bool) -> Parameters:
    """What families and networks add: half of what a network has goes to its relatives.

    A family and a network are told apart by nothing in so short a table, and the prior of both
    is the same.
    """
    own, families = {}, defaultdict(list)
    for name in (k.split("/")[1] for k in p if k.startswith("network/") and k.count("/") == 1):
        w = f"network/{name}"
        own[name] = p[w] + p[f"{w}/{g}"] + (p[f"{w}/narrow"] if is_narrow else 0.0)
        families[family_of(name)].append(own[name])
    shared = {f: 0.5 * float(np.mean(v)) for f, v in families.items()}
    return shared | {f"network.{n}": v - shared[family_of(n)] for n, v in own.items()}


def apart(p: Parameters, device: str) -> Parameters:
    """What a GPU adds to the characters of networks."""
    keys = [k.split("/") for k in p if k.startswith("network/") and k.endswith(f"/{device}")]
    return {f"network.{name}": p["/".join((sort, name, d))] for sort, name, d in keys}


def spread_of(error: np.ndarray) -> float:
    return float(np.exp(np.quantile(np.abs(np.log1p(error)), 0.8)))


def told(label: str, error: np.ndarray) -> None:
    size = np.abs(error)
    print(
        f"{label:52s} n {len(error):3d}  median {np.median(size):.3f}  p90 "
        f"{np.quantile(size, 0.9):.3f}  bias {np.median(error):+.3f}  80 % {spread_of(error):.2f}",
        flush=True,
    )


@dataclass(frozen=True)
class Spreads:
    """The 80 % bands of one group: on known networks, on others, and on devices left out."""

    near: float
    strange: float
    far: float


def spreads(rows: Sequence[Row]) -> dict[str, Spreads]:
    """Held-out errors of every split, told, and the bands that they call for."""
    by = {
        "other networks, known device": held_out(rows, [r.workload.name for r in rows]),
        "device left out, network known elsewhere": held_out(rows, [r.device for r in rows]),
        "one row left out, device and network known": held_out(rows, range(len(rows))),
    }
    found = {}
    for g in GROUPS:
        at = [i for i, r in enumerate(rows) if r.group == g]
        network, device, row = (spread_of(e[at]) for e in by.values())
        found[g] = Spreads(max(1.15, row), max(1.15, network), max(1.5, device))
        for label, e in by.items():
            told(f"{g}: {label}", e[at])
    return found


def evidence_of(rows: Sequence[Row], p: Parameters, g: str, spread: Spreads) -> list[Evidence]:
    """Every rung of one group: the device, its architecture, the family and the kind."""
    at = [r for r in rows if r.group == g]
    devices, found, is_shared = sorted({r.device for r in at}), [], g == "cpu/latency"
    for dtype, units_ in sorted({(r.setting.dtype, r.setting.units) for r in at}):
        unit = {"int8": units_ or "int8", "float32": "float32"}.get(dtype, "16")
        what = replace(at[0].setting, units=units_).what
        added = characters(p, g, is_narrow=dtype != "float32")
        added |= {"unknown_network_spread": spread.strange}
        added |= {"smooth_kernels": math.exp(p[f"{g}/layer.smooth"])}
        added |= dict.fromkeys(("layer_units", "compute_units"), p["waiting"]) if is_shared else {}
        common = constants_of(p, g, unit=unit, level=0.0)
        for d in devices:
            sheet = load_sheets()[d]
            if dtype not in sheet.peaks or multiplies_in(sheet, dtype) != units_:
                continue
            level = sum(p[f"device/{d}{k}"] for k in ("", f"/{g}", f"/{unit}"))
            own = constants_of(p, g, unit=unit, level=level)
            adds = {k: v - common[k] for k, v in own.items()} | apart(p, d)
            whole = own | added | {k: added[k] + v for k, v in apart(p, d).items()}
            found += [
                _row(what, dtype, "device", d, adds, spread.near, at),
                _row(
                    what, dtype, "architecture", sheet.architecture, whole, spread.far, at
                ).model_copy(update={"devices": (d,)}),
            ]
        sheet = load_sheets()[devices[0]]
        wider = (("family", sheet.family, 1.0), ("kind", sheet.kind, 1.3))
        for rung, scope, more in wider:
            found.append(_row(what, dtype, rung, scope, common | added, more * spread.far, at))
    return found


def _row(
    what: str,
    dtype: str,
    rung: str,
    scope: str,
    constants: Mapping[str, float],
    spread: float,
    rows: Sequence[Row],
) -> Evidence:
    return Evidence.model_validate(
        {
            "what": what,
            "dtype": dtype,
            "rung": rung,
            "scope": scope,
            "constants": {k: float(f"{v:.3g}") for k, v in constants.items()},
            "spread": round(spread, 3),
            "num_points": len(rows),
            "source": SOURCE,
        }
    )


def together(path: Path, rows: Sequence[Row], p: Parameters) -> float:
    """How many times the CPU's throughput both reach: the median of networks that state both."""
    alone = {
        (r.workload.name, r.setting.dtype): r.sample_s
        for r in rows
        if (r.device, r.group) == ("core-ultra-155h", "cpu/infer")
    }
    ratios = []
    for r in csv.DictReader(path.read_text().splitlines()):
        known = find_network(r["model"])
        if "together" in r["note"] and known is not None:
            dtype = "int8" if r["dtype"] == "int8" else "float32"
            workload = known.model_copy(update={"style": backbone_style(known)})
            setting = Setting(dtype=dtype, runtime="openvino")
            cpu_s = alone.get((known.name, dtype)) or predicted(
                sum_of(Row("core-ultra-155h", setting, workload, 1.0)), p
            )
            ratios.append(float(r["value"]) * cpu_s)
    print("CPU and GPU together over the CPU alone:", np.round(ratios, 2))
    return float(np.median(ratios))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    path = parser.parse_args().data / "published" / "openvino.csv"
    rows = read(path)
    p, bands = fit([sum_of(r) for r in rows], prior_of(rows)), spreads(rows)
    found = decoding(path, source=SOURCE, device_of=device_of)
    for g in GROUPS:
        found += evidence_of(rows, p, g, bands[g])
    found.append(
        Evidence(
            what="network/with_gpu/openvino",
            rung="family",
            scope="intel-cpu",
            constants={"with_gpu": round(together(path, rows, p), 2)},
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

"""Fits how whole networks run: writes `catalog/constants/networks.yaml`, prints held-out errors.

Run by hand: ``python benchmarks/fit/networks.py --data ../shared/data``. Two answers are
checked, each on rows that the fit did not see: other models on a known device (five folds over
models, and over whole families), and a device left out altogether.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml
from network_rows import SOURCE, Row, folds, read

from fitwright.perf.network.character import family_of, guessed_macs, size_of
from fitwright.perf.network.time import character, plain_s, seconds
from fitwright.records.evidence import Evidence
from fitwright.records.workload import Workload

OUT = Path("src/fitwright/catalog/constants/networks.yaml")
STYLES = ("plain", "depthwise", "vit", "window", "dense", "detector", "recurrent", "ranking")
SIZES = ("macs", "parameters", "side")
CURVED = ("macs2", "parameters2", "side2", "macs_parameters")
Constants = dict[str, float]
COMPILED_ON_GPU = "network/infer/compiled"
OTHER_KIND_SPREAD = 3.0
"""Of accelerators that are no GPUs, where the constants of compiled GPU runs stand in: nobody
measured these networks there."""


def lines(workloads: Sequence[Workload], *, curved: bool) -> np.ndarray:
    """One column per term of the line of all families."""
    sizes = [size_of(w) for w in workloads]
    m, p, s = (np.array([getattr(z, k) for z in sizes]) for k in SIZES)
    columns = [np.ones_like(m), m, p, s]
    return np.stack(columns + ([m * m, p * p, s * s, m * p] if curved else []), axis=1)


def robust(a: np.ndarray, y: np.ndarray, penalty: np.ndarray, *, knee: float = 0.1) -> np.ndarray:
    """Ridge with the weight of far points bounded (Huber), by reweighting."""
    weights = np.ones(len(y))
    solution = np.zeros(a.shape[1])
    for _ in range(6):
        solution = np.linalg.solve((a.T * weights) @ a + np.diag(penalty), (a.T * weights) @ y)
        weights = 1 / np.maximum(1, np.abs(y - a @ solution) / knee)
    return solution


def hierarchy(
    workloads: Sequence[Workload], y: np.ndarray, *, curved: bool, loose: float, slopes: float
) -> Constants:
    """The line of all families and what each family adds, by turns until they settle."""
    a, straight = lines(workloads, curved=curved), lines(workloads, curved=False)
    members = defaultdict(list)
    for i, w in enumerate(workloads):
        members[family_of(w.name)].append(i)
    added = np.zeros(len(y))
    own: dict[str, np.ndarray] = {}
    for _ in range(4):
        common = robust(a, y - added, np.full(a.shape[1], 0.01))
        for family, at in members.items():
            own[family] = robust(
                straight[at], (y - a @ common)[at], np.array([loose, slopes, slopes, slopes])
            )
            added[at] = straight[at] @ own[family]
    names = ("all", *(f"all.{k}" for k in SIZES + (CURVED if curved else ())))
    found = dict(zip(names, common, strict=True))
    for family, line in own.items():
        found |= dict(zip((family, *(f"{family}.{k}" for k in SIZES)), line, strict=True))
    return {k: float(v) for k, v in found.items()}


def activation_facts(rows: Iterable[Row]) -> Constants:
    """What families write per multiply-add: facts of architectures, not of devices."""
    unique = {(r.workload.name, r.workload.side): r for r in rows}.values()
    y = np.array([math.log(r.published_activations / r.workload.macs) for r in unique])
    return hierarchy([r.workload for r in unique], y, curved=True, loose=0.05, slopes=0.2)


def macs_facts(rows: Iterable[Row]) -> Constants:
    """Multiply-adds per parameter of each family, by parameters and side alone."""
    unique = list({(r.workload.name, r.workload.side): r.workload for r in rows}.values())
    y = np.array([math.log(w.macs / w.parameters) for w in unique])
    level_ = [w.model_copy(update={"macs": 4e9}) for w in unique]
    return hierarchy(level_, y, curved=False, loose=0.05, slopes=0.2)


def macs_error(rows: Sequence[Row]) -> np.ndarray:
    """Guessed over published multiply-adds, the network unseen, minus 1."""
    fold, found = folds(rows, lambda r: r.workload.name), np.zeros(len(rows))
    for k in range(5):
        facts = macs_facts([r for r, f in zip(rows, fold, strict=True) if f != k])
        for i, r in enumerate(rows):
            if fold[i] == k:
                w = r.workload
                guess = guessed_macs(w.name, parameters=w.parameters, side=w.side, facts=facts)
                found[i] = guess / w.macs - 1
    return found


def terms(rows: Sequence[Row], facts: Mapping[str, float]) -> np.ndarray:
    """Seconds of one sample per term, were the constants 1: start, compute, traffic, weights."""
    table = []
    for r in rows:
        peak, bandwidth = r.sheet.peaks[r.setting.dtype], r.sheet.bandwidth_bytes_per_s
        assert bandwidth is not None
        one = {"peak": peak.value, "bandwidth": bandwidth.value, "facts": facts}
        style, row = r.workload.style, [1e-3]
        for compute, traffic, weights in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
            c = {
                f"compute.{style}": compute,
                f"traffic.{style}": traffic,
                "weights": weights,
                "start_s": 0.0,
            }
            row.append(plain_s(r.workload, r.setting, constants=c, **one))  # type: ignore[arg-type]
        table.append(row)
    return np.array(table)


def style_constants(rows: Sequence[Row], facts: Mapping[str, float], *, starts: bool) -> Constants:
    """Compute and traffic of each style; the weights are read once; CPUs have a start as well."""
    t = np.array([r.sample_s for r in rows])
    cost = terms(rows, facts)
    passes = 3.0 if rows[0].setting.mode == "train" else 1.0
    every = _two_terms(cost, t, passes)
    found: Constants = {"start_s": 1e-3 * every[0] if starts else 0.0, "weights": 1.0}
    for style in STYLES:
        at = [i for i, r in enumerate(rows) if r.workload.style == style]
        _, compute, traffic = _two_terms(cost[at], t[at], passes) if len(at) >= 15 else every
        found |= {f"compute.{style}": compute, f"traffic.{style}": traffic}
    return found


def _two_terms(cost: np.ndarray, t: np.ndarray, least: float) -> tuple[float, float, float]:
    """Shares of start, compute and traffic that leave the smallest relative errors (Huber)."""
    rest = np.clip(1 - cost[:, 3] / t, 0.1, 1)
    a = cost[:, :3] / t[:, None] / rest[:, None]
    weights = np.ones(len(t))
    best = np.array([0.0, 1.5 * least, 2.0 * least])
    for _ in range(60):
        for j, low in enumerate((0.0, least, 0.3)):
            others = 1 - a @ best + a[:, j] * best[j]
            top, bottom = (weights * a[:, j] * others).sum(), (weights * a[:, j] ** 2).sum()
            best[j] = max(low, top / bottom) if bottom > 0 else low
        weights = 1 / np.maximum(1, np.abs(1 - a @ best) / 0.15)
    return float(best[0]), float(best[1]), float(best[2])


def layout_shift(rows: Sequence[Row]) -> Constants:
    """Logarithm of how much slower channels last are, per style, from networks run both ways."""
    both: dict[tuple[str, str, float], dict[str, Row]] = defaultdict(dict)
    for r in rows:
        both[r.device, r.workload.name, r.workload.side][r.setting.layout] = r
    shifts = defaultdict(list)
    for pair in both.values():
        if len(pair) == 2:
            ratio = pair["nhwc"].sample_s / pair["nchw"].sample_s
            shifts[pair["nchw"].workload.style].append(math.log(ratio))
    return {f"channels_last.{s}": float(np.median(v)) for s, v in shifts.items() if len(v) >= 5}


def left_over(rows: Sequence[Row], constants: Constants, facts: Mapping[str, float]) -> np.ndarray:
    """Logarithm of measured over predicted, character included as far as it is known."""
    out = []
    for r in rows:
        peak, bandwidth = r.sheet.peaks[r.setting.dtype], r.sheet.bandwidth_bytes_per_s
        assert bandwidth is not None
        plain = plain_s(
            r.workload,
            r.setting,
            peak=peak.value,
            bandwidth=bandwidth.value,
            constants=constants,
            facts=facts,
        )
        out.append(math.log(r.sample_s / plain) - character(r.workload, r.setting, constants))
    return np.array(out)


def fit_shared(rows: Sequence[Row], facts: Mapping[str, float]) -> Constants:
    """The constants of a runtime from all its devices together, each device's level removed."""
    is_cpu = rows[0].sheet.kind == "cpu"
    shared = style_constants(rows, facts, starts=is_cpu) | layout_shift(rows)
    if is_cpu or rows[0].setting.mode == "train":
        shared["has_launches"] = 0.0 if is_cpu else 3.0
    y = left_over(rows, shared, facts)
    device = np.array([r.device for r in rows])
    levels = {d: float(np.median(y[device == d])) for d in set(device)}
    middle = float(np.mean(list(levels.values())))
    y = y - np.array([levels[d] - middle for d in device])
    return shared | hierarchy([r.workload for r in rows], y, curved=True, loose=0.1, slopes=0.4)


def fit_own(rows: Sequence[Row], shared: Constants, facts: Mapping[str, float]) -> Constants:
    """What one device adds: a line of all families, and families as far as they differ."""
    y = left_over(rows, shared, facts)
    return hierarchy([r.workload for r in rows], y, curved=False, loose=0.4, slopes=1.5)


def merged(shared: Constants, own: Constants) -> Constants:
    return {k: shared.get(k, 0.0) + own.get(k, 0.0) for k in shared.keys() | own.keys()}


def errors(rows: Sequence[Row], constants: Constants, facts: Mapping[str, float]) -> np.ndarray:
    """Predicted over measured time, minus 1."""
    out = []
    for r in rows:
        peak, bandwidth = r.sheet.peaks[r.setting.dtype], r.sheet.bandwidth_bytes_per_s
        assert bandwidth is not None
        batch_s = seconds(
            r.workload,
            r.setting,
            peak=peak.value,
            bandwidth=bandwidth.value,
            constants=constants,
            facts=facts,
        )
        # the throughput is what is scored
        out.append(r.sample_s * r.setting.batch / batch_s - 1)
    return np.array(out)


def held_out(rows: Sequence[Row], every: Sequence[Row], key: Callable[[Row], str]) -> np.ndarray:
    """Errors per row on known devices, its key unseen by every part of the fit."""
    fold, fold_every = folds([*rows, *every], key)[: len(rows)], folds([*rows, *every], key)
    fold_every = fold_every[len(rows) :]
    found = np.zeros(len(rows))
    for k in range(5):
        facts = activation_facts([r for r, f in zip(every, fold_every, strict=True) if f != k])
        seen = [r for r, f in zip(rows, fold, strict=True) if f != k]
        shared = fit_shared(seen, facts)
        for device in sorted({r.device for r in rows}):
            own = fit_own([r for r in seen if r.device == device], shared, facts)
            at = [i for i, r in enumerate(rows) if fold[i] == k and r.device == device]
            found[at] = errors([rows[i] for i in at], merged(shared, own), facts)
    return found


def device_out(rows: Sequence[Row], facts: Mapping[str, float], device: str) -> np.ndarray:
    """Errors on a device that nobody measured: the others of its family answer."""
    shared = fit_shared([r for r in rows if r.device != device], facts)
    return errors([r for r in rows if r.device == device], shared, facts)


def spread_of(error: np.ndarray) -> float:
    """The factor within which four of five lie."""
    return float(np.exp(np.quantile(np.abs(np.log1p(error)), 0.8)))


def told(label: str, error: np.ndarray) -> None:
    size = np.abs(error)
    print(
        f"{label:60s} n {len(error):4d}  median {np.median(size):.3f}  p75 "
        f"{np.quantile(size, 0.75):.3f}  p90 {np.quantile(size, 0.9):.3f}  bias "
        f"{np.median(error):+.3f}  80 % factor {spread_of(error):.2f}",
        flush=True,
    )


def compact(constants: Constants) -> Constants:
    """Three digits; what moves a time by less than 1 % is left out."""
    kept = {k: float(f"{v:.3g}") for k, v in constants.items() if abs(v) >= 0.01 or "_s" in k}
    families = {k for k in constants if "." not in k}
    return {k: round(constants[k], 2) for k in families if k not in kept} | kept


def level(constants: Constants) -> Constants:
    """Without the slopes of single families: far from the devices they were found on."""
    own = ("all", "compute", "traffic", "channels_last")
    return {k: v for k, v in constants.items() if "." not in k or k.split(".")[0] in own}


def evidence_of(what: str, rows: Sequence[Row], every: Sequence[Row]) -> list[Evidence]:
    """The rows of one runtime: one per device, one for the family, one for the kind."""
    facts = activation_facts(every)
    known = held_out(rows, every, lambda r: r.workload.name)
    strange = held_out(rows, every, lambda r: family_of(r.workload.name))
    told(f"{what}: other models, known device", known)
    told(f"{what}: other families, known device", strange)
    shared = fit_shared(rows, facts) | {"unknown_family_spread": spread_of(strange)}
    devices = sorted({r.device for r in rows})
    apart = [device_out(rows, facts, d) for d in devices] if len(devices) > 1 else []
    for d, e in zip(devices, apart, strict=False):
        told(f"{what}: {d} from the others' constants", e)
    sheet, dtype = rows[0].sheet, rows[0].setting.dtype
    far = max(1.35, spread_of(np.concatenate(apart))) if apart else 1.6
    common = {"what": what, "dtype": dtype, "source": SOURCE, "num_points": len(rows)}
    found = []
    for d in devices:
        at = [i for i, r in enumerate(rows) if r.device == d]
        own = fit_own([rows[i] for i in at], shared, facts)
        told(f"{what}: {d}", known[at])
        one = common | {"num_points": len(at)}
        found.append(_evidence("device", d, compact(own), spread_of(known[at]), one))
    found.append(_evidence("family", sheet.family, compact(shared), far, common))
    kinds = (
        (sheet.kind, "tpu", "npu", "asic")
        if (what, sheet.kind) == (COMPILED_ON_GPU, "gpu")
        else (sheet.kind,)
    )
    for kind in kinds:
        spread = 1.25 * far if kind == sheet.kind else OTHER_KIND_SPREAD
        found.append(_evidence("kind", kind, level(compact(shared)), spread, common))
    return found


def _evidence(
    rung: str, scope: str, constants: Constants, spread: float, common: Mapping[str, object]
) -> Evidence:
    return Evidence.model_validate(
        {
            **common,
            "rung": rung,
            "scope": scope,
            "constants": dict(sorted(constants.items())),
            "spread": round(spread, 3),
        }
    )


def written(evidence: Iterable[Evidence]) -> str:
    """One flow-style row each: the file stays short to scroll."""
    rows = [e.model_dump(exclude_defaults=True) for e in evidence]
    text = "# Written by benchmarks/fit/networks.py; see perf/network/time.py for the formula.\n"
    for row in rows:
        text += "- " + yaml.safe_dump(row, default_flow_style=True, width=10**9, sort_keys=False)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    every = read(parser.parse_args().data / "published" / "timm_vision.csv")
    groups = defaultdict(list)
    for r in every:
        groups[r.setting.what, r.sheet.kind].append(r)
    facts = activation_facts(every)
    found = [
        Evidence(
            what="network/activations",
            rung="kind",
            scope="any",
            constants=dict(sorted(compact(facts).items())),
            spread=1.3,
            num_points=len({(r.workload.name, r.workload.side) for r in every}),
            source=SOURCE,
        )
    ]
    guess = macs_error(every)
    told("multiply-adds from parameters", guess)
    found.append(
        found[0].model_copy(
            update={
                "what": "network/macs",
                "constants": dict(sorted(compact(macs_facts(every)).items())),
                "spread": round(spread_of(guess), 3),
            }
        )
    )
    for (what, _), rows in sorted(groups.items()):
        found += evidence_of(what, rows, every)
    OUT.write_text(written(found))


if __name__ == "__main__":
    main()

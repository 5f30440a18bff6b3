"""Fits how OpenVINO decodes one sequence: share of the bandwidth, and what each block costs."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from openvino_fit import Parameters, Sum, Term, fit, predicted

from fitwright.catalog.sheets import load_sheets
from fitwright.catalog.transformers import find_transformer
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet
from fitwright.records.transformer import Transformer
from fitwright.validate.domains.openvino_decode import bytes_read, waiting

PRIOR: Mapping[str, tuple[float, float]] = {
    "read": (0.2, 0.2),
    "block.cpu": (math.log(20e-6), 0.7),
    "block.gpu": (math.log(150e-6), 0.7),
}
"""Logarithms of 1 over the share of the bandwidth (0.82), and of the seconds of a block."""
LEVEL = 0.3


@dataclass(frozen=True)
class Row:
    """Seconds of one token."""

    device: str
    shape: Transformer
    label: str
    token_s: float

    @property
    def sheet(self) -> Sheet:
        return load_sheets()[self.device]


def sum_of(row: Row) -> Sum:
    bandwidth = row.sheet.bandwidth_bytes_per_s
    assert bandwidth is not None
    read_s = bytes_read(row.shape, row.label) / bandwidth.value
    blocks = row.shape.num_layers * waiting(row.sheet)
    terms = [Term(read_s, {"read": 1.0}), Term(blocks, {f"block.{row.sheet.kind}": 1.0})]
    return Sum(terms, {f"level.{row.device}": 1.0}, row.token_s)


def read(path: Path, device_of: Callable[[str], str]) -> list[Row]:
    rows = []
    for r in csv.DictReader(path.read_text().splitlines()):
        shape = find_transformer(r["model"]) if r["metric"] == "llm_throughput" else None
        if shape is not None:
            rows.append(Row(device_of(r["device"]), shape, r["dtype"], 1 / float(r["value"])))
    return rows


def held_out(rows: Sequence[Row], prior: Mapping[str, tuple[float, float]], key: str) -> np.ndarray:
    """Errors of each row, fitted to the rows of other devices or other models."""
    keys = [r.device if key == "device" else r.shape.name for r in rows]
    found = np.zeros(len(rows))
    for k in sorted(set(keys)):
        p = fit([sum_of(r) for r, own in zip(rows, keys, strict=True) if own != k], prior)
        for i, r in enumerate(rows):
            if keys[i] == k:
                found[i] = predicted(sum_of(r), p) / r.token_s - 1
    return found


def decoding(path: Path, *, source: str, device_of: Callable[[str], str]) -> list[Evidence]:
    """One row per device, family and kind, and the held-out errors told."""
    rows = read(path, device_of)
    devices = sorted({r.device for r in rows})
    prior = dict(PRIOR) | {f"level.{d}": (0.0, LEVEL) for d in devices}
    p, found = fit([sum_of(r) for r in rows], prior), []
    model, apart = held_out(rows, prior, "model"), held_out(rows, prior, "device")
    for d in devices:
        at = [i for i, r in enumerate(rows) if r.device == d]
        for label, e in (("other models", model[at]), ("device left out", apart[at])):
            print(f"decoding {d}: {label}: n {len(at)} median {np.median(np.abs(e)):.3f}")
        near = max(1.12, float(np.exp(np.quantile(np.abs(np.log1p(model[at])), 0.8))))
        sheet, level = load_sheets()[d], p[f"level.{d}"]
        for rung, scope, added, spread in (
            ("device", d, level, near),
            ("architecture", sheet.architecture, level, 1.3),
            ("family", sheet.family, 0.0, 1.6),
            ("kind", sheet.kind, 0.0, 2.0),
        ):
            constants = _constants(p, kind=sheet.kind, level=added)
            one = {"rung": rung, "scope": scope, "constants": constants, "spread": round(spread, 3)}
            one |= {"what": "network/decode/openvino", "num_points": len(at), "source": source}
            found.append(Evidence.model_validate(one))
    return list({(e.rung, e.scope): e for e in found}.values())


def _constants(p: Parameters, *, kind: str, level: float) -> dict[str, float]:
    share = min(1.0, math.exp(-p["read"] - level))
    block_s = math.exp(p[f"block.{kind}"] + level)
    return {"share": float(f"{share:.3g}"), "block_s": float(f"{block_s:.3g}")}

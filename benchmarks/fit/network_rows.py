"""Rows of timm's benchmark tables, and what they are split by."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fitwright.catalog.networks import find_network
from fitwright.catalog.sheets import load_sheets
from fitwright.perf.network.character import style_of
from fitwright.perf.network.time import Setting
from fitwright.records.sheet import Sheet
from fitwright.records.workload import Workload

SOURCE = "huggingface/pytorch-image-models:results (timm benchmarks)"
DEVICES = {
    "RTX 3090": "rtx-3090",
    "RTX 4090": "rtx-4090",
    "RTX 5090": "rtx-5090",
    "RTX PRO 6000 Max-Q": "rtx-pro-6000-maxq",
    "Core i9-10940X (14c)": "core-i9-10940x",
    "Core i7-12700H": "core-i7-12700h",
}
DTYPES = {"amp fp16": "float16", "fp32": "float32", "amp bf16": "bfloat16"}


@dataclass(frozen=True)
class Row:
    """One published throughput."""

    device: str
    setting: Setting
    workload: Workload
    published_activations: float
    sample_s: float

    @property
    def sheet(self) -> Sheet:
        return load_sheets()[self.device]


def read(path: Path) -> list[Row]:
    """The rows that state their multiply-adds; activations are left for the families to tell."""
    rows = []
    for r in csv.DictReader(path.read_text().splitlines()):
        if not r["gmacs"] or float(r["gmacs"]) <= 0:
            continue
        known = find_network(r["model"])
        workload = Workload(
            name=r["model"],
            style=style_of(r["model"]),
            macs=float(r["gmacs"]) * 1e9,
            parameters=float(r["params_M"]) * 1e6,
            side=float(r["img_size"]),
            num_layers=known.num_layers if known else None,
        )
        setting = Setting(
            dtype=DTYPES[r["dtype"]],
            batch=int(r["batch"]),
            mode=r["mode"],  # type: ignore[arg-type]
            runtime="compiled" if r["compile"] == "torch.compile" else "eager",
            layout=r["layout"],
        )
        sample_s = 1 / float(r["samples_s"])
        written = float(r["mactivations"]) * 1e6
        rows.append(Row(DEVICES[r["device"]], setting, workload, written, sample_s))
    return rows


def folds(rows: Sequence[Row], key: Callable[[Row], str], count: int = 5) -> np.ndarray:
    """A fold for each row; rows of one key share theirs. Fixed by a seed."""
    keys = sorted({key(r) for r in rows})
    order = np.random.default_rng(4).permutation(len(keys))
    place = {k: int(order[i]) % count for i, k in enumerate(keys)}
    return np.array([place[key(r)] for r in rows])

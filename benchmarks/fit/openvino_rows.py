"""Rows of OpenVINO's published table of networks."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from fitwright.catalog.networks import find_network
from fitwright.catalog.sheets import load_sheets
from fitwright.perf.network.character import backbone_style
from fitwright.perf.network.time import Setting, multiplies_in, peak_of
from fitwright.records.sheet import Sheet
from fitwright.records.workload import Workload

DEVICES = {
    "Xeon 6979P": "xeon-6979p",
    "Core Ultra 7 155H": "core-ultra-155h",
    "Data Center GPU Flex 170": "flex-170",
    "Arc B580": "arc-b580",
}
DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "int8": "int8"}


@dataclass(frozen=True)
class Row:
    """One published figure, as the time of one sample."""

    device: str
    setting: Setting
    workload: Workload
    sample_s: float

    @property
    def group(self) -> str:
        """Rows that share their constants."""
        return f"{self.sheet.kind}/{self.setting.mode}"

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

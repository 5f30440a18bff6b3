"""MLPerf inference rows with the catalogue's device and benchmark, for the fits beside."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from fitwright.catalog.benchmarks import find_benchmark
from fitwright.catalog.sheets import load_sheets
from fitwright.perf.boards.submission import dtype_used
from fitwright.records.benchmark import Benchmark
from fitwright.records.sheet import Sheet

# without virtual GPUs (``-80C``), slices (MIG) and clouds (``Tesla T4``, a
# third slower than the other T4; seen when a smoke-test row of the T4 was missed)
DEVICES = {
    "Intel(R) Xeon(R) Platinum 8480+": "xeon-8480",
    "INTEL(R) XEON(R) PLATINUM 8592+": "xeon-8592",
    "INTEL(R) XEON(R) 6787P": "xeon-6787p",
    "13th Gen Intel(R) Core(TM) i9-13900K": "core-i9-13900k",
    "AMD Ryzen 9 7950X 16-Core Processor": "ryzen-7950x",
    "NVIDIA H100-SXM-80GB": "h100-sxm",
    "NVIDIA H100-PCIe-80GB": "h100-pcie",
    "NVIDIA H100-NVL-94GB": "h100-nvl",
    "NVIDIA L4": "l4",
    "NVIDIA L4-PCIe-24GB": "l4",
    "NVIDIA L40": "l40",
    "NVIDIA A30": "a30",
    "NVIDIA A40": "a40",
    "NVIDIA A100-PCIe-80GB": "a100-80-pcie",
    "NVIDIA A100-SXM-80GB": "a100-80-sxm",
    "NVIDIA A100-SXM-80GB CTS": "a100-80-sxm",
    "NVIDIA GeForce RTX 4090 (Ada Lovelace)": "rtx-4090",
    "NVIDIA GeForce RTX 4090": "rtx-4090",
    "NVIDIA Jetson AGX Orin": "jetson-agx-orin-64",
    "NVIDIA Jetson AGX Orin 64G": "jetson-agx-orin-64",
    "NVIDIA A2": "a2",
    "NVIDIA T4": "t4",
    "QUALCOMM Cloud AI 100 PCIe/HHHL Pro": "cloud-ai100-pro",
    "QUALCOMM Cloud AI 100 PCIe/HHHL Standard": "cloud-ai100-std",
    "RBLN ATOM": "rbln-atom",
    "UntetherAI speedAI240 Preview": "untether-240",
    "TPU v5e": "tpu-v5e",
    "BCM2835 Arm Cortex-A72 r0p3": "rpi4",
    "RockChip RK3588S: Arm Cortex-A76 (big); Arm Cortex-A55 (LITTLE)": "rk3588",
    "Amlogic S922X (12nm): Arm Cortex-A73 MP4 (big); Arm Cortex-A53 MP2 (LITTLE)": "s922x",
    "Amlogic A311D2: Arm Cortex-A73 (big); Arm Cortex-A53 (LITTLE)": "a311d2",
    "Arm Cortex-A78AE v8.2": "jetson-orin-cpu",
}
ID_OF = {name.lower(): device for name, device in DEVICES.items()}
LABELS = {"fp32": "float32", "int8": "int8", "bf16": "bfloat16", "fp16": "float16"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One best submission."""

    sheet: Sheet
    benchmark: Benchmark
    scenario: str
    num_devices: int
    value: float
    dtype: str
    joules: float | None
    watts: float | None
    version: str

    @property
    def is_rate(self) -> bool:
        return self.scenario in ("Offline", "Server")


def rows(data: Path) -> list[Row]:
    """Every row of a device and a benchmark that the catalogue has."""
    found = []
    path = data / "published/mlperf_best_per_device.csv"
    for raw in csv.DictReader(path.open()):
        device = ID_OF.get(raw["device"].lower())
        benchmark = find_benchmark(raw["benchmark"])
        if device is None or benchmark is None:
            continue
        sheet = load_sheets()[device]
        label = LABELS.get(raw["weight_dtype"].lower(), "")
        dtype = dtype_used(sheet, benchmark, label=label)
        if dtype is None:
            continue
        joules, watts = raw["best_energy_J_per_sample"], raw["avg_power_W_of_that"]
        found.append(
            Row(
                sheet=sheet,
                benchmark=benchmark,
                scenario=raw["scenario"],
                num_devices=int(raw["n_devices"]),
                value=float(raw["best_value"]),
                dtype=dtype,
                joules=float(joules) if joules else None,
                watts=float(watts) if watts else None,
                version=raw["version"],
            )
        )
    return found

"""MLPerf Tiny rows with the catalogue's device, core and framework, for the fits beside."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from fitwright.catalog.tiny import find_tiny
from fitwright.perf.boards.microcontroller import framework_of
from fitwright.records.benchmark import TinyNetwork

SOCS = {
    "STM32L4R5ZIT6U": "stm32l4r5",
    "STM32L4R5": "stm32l4r5",
    "STM32H7A3ZIT6Q": "stm32h7a3",
    "STM32F746NG": "stm32f746",
    "STM32F746NGH6U": "stm32f746",
    "STM32U575ZIT6Q": "stm32u575",
    "STM32U575ZIT6QU": "stm32u575",
    "STM32G0B1RE": "stm32g0b1",
    "nRF5340": "nrf5340",
    "EFR32MG24B310F1536IM48": "efr32mg24",
}
FPGAS = {
    "Zynq XC7Z020-1CLG400C": "pynq-z1",
    "ZYNQ XC7Z045-FFG900": "zc706",
    "Artix-7 C7A100TCSG324-1": "arty-a7-100t",
}
CORES = (
    ("Cortex-M85", r"M85"),
    ("Cortex-M33", r"M33"),
    ("Cortex-M0+", r"M0\+"),
    ("Cortex-M4", r"M4"),
    ("Cortex-M7", r"M7"),
    ("RISC-V", r"RISC-V|Andes|RV32|RV64"),
    ("RXv2", r"RXv2"),
    ("RH850", r"RH850"),
)
FAMILIES = {"RISC-V": "riscv-mcu", "RXv2": "renesas-mcu", "RH850": "renesas-mcu"}


@dataclass(frozen=True, kw_only=True)
class Tiny:
    """One submission."""

    device: str
    core: str
    family: str
    network: TinyNetwork
    variant: str
    framework: str
    clock_hz: float
    seconds: float
    joules: float | None
    raw: dict[str, str]


def clock(raw: str) -> float:
    """``1.0 GHz``, ``277.5M`` and ``650Mhz`` in hertz; 0: unreadable."""
    found = re.search(r"([\d.]+)\s*([GM])", raw)
    return float(found[1]) * {"G": 1e9, "M": 1e6}[found[2]] if found else 0.0


def rows(data: Path) -> list[Tiny]:
    """Rows of programmable cores without an accelerator of another make."""
    found = []
    for raw in csv.DictReader((data / "published/mlperf_tiny.csv").open()):
        network = find_tiny(raw["benchmark"])
        core = next((c for c, p in CORES if re.search(p, raw["processor"])), "")
        accelerated = raw["accelerator"] and "MVP" not in raw["accelerator"]
        if network is None or not core or accelerated or "HiFi" in raw["processor"]:
            continue
        device = SOCS.get(raw["soc"], raw["soc"] or raw["processor"][:20])
        if core == "Cortex-M7" and device == "stm32u575":
            device = "stm32h7a3"  # the submitter's slip: 280 MHz and this core are that chip's
        joules = raw["energy_uj_per_inf"]
        found.append(
            Tiny(
                device=device,
                core=core,
                family=FAMILIES.get(core, "arm-mcu"),
                network=network,
                variant=raw["benchmark"],
                framework=framework_of(raw["framework"]),
                clock_hz=clock(raw["freq"]),
                seconds=float(raw["latency_ms"]) * 1e-3,
                joules=float(joules) * 1e-6 if joules else None,
                raw=raw,
            )
        )
    return found

"""FPGA rows of dense networks, for the fits beside."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from fitwright.perf.boards.fpga import Dense

FPGAS = {
    "unstated in extract (wa-hls4ml uses Alveo U250 xcu250)": "alveo-u250",
    "Zynq UltraScale+ xczu3eg-sbva484": "zu3eg",
    "ZC706 (XC7Z045)": "zc706",
    "PYNQ-Z1 (XC7Z020)": "pynq-z1",
}


@dataclass(frozen=True, kw_only=True)
class Built:
    """One network as synthesised."""

    net: Dense
    lut: float
    ff: float
    dsp: float
    cycles: float


def rows(data: Path) -> list[Built]:
    """Those of the resource strategy: the others do not state their reuse."""
    found = []
    for raw in csv.DictReader((data / "published/fpga.csv").open()):
        if raw["flow"].startswith("hls4ml resource"):
            bits = float(raw["precision"].split()[0])
            widths = tuple(int(w) for w in raw["layers"].split("-"))
            reuse = int(float(raw["reuse_factor"]))
            net = Dense(widths=widths, weight_bits=bits, activation_bits=bits, reuse=reuse)
            found.append(
                Built(
                    net=net,
                    lut=float(raw["lut"]),
                    ff=float(raw["ff"]),
                    dsp=float(raw["dsp"]),
                    cycles=float(raw["latency_cycles"]),
                )
            )
    return found

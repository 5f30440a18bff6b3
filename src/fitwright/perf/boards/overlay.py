"""MLPerf Tiny's networks on small FPGAs, by the flow that made the design.

Designs for one network are folded until they fill the part, so that the flow and the network
decide: FINN and hls4ml designs take a number of cycles that hardly depends on the board, and
fpgaConvNet fills the DSP blocks to a share that depends on the network.
"""

from __future__ import annotations

from collections.abc import Iterable

from fitwright.perf.ladder import estimate, nearest
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet

WHAT = "fpga_tiny"
FABRIC_CLOCK_HZ = 100e6
"""Of designs by FINN and hls4ml on 7-series parts."""


def tiny_latency(
    *, network: str, variant: str, macs: float, flow: str, sheet: Sheet, table: Iterable[Evidence]
) -> Estimate | NoData:
    """Seconds of one inference.

    Args:
        network: ``ad``, ``ic``, ``kws`` or ``vww``.
        variant: the submitter's model, lower case (``cnv-w1a1``); empty: the reference.
        macs: of the reference.
        flow: ``finn`` (hls4ml alike) or ``fpgaconvnet``.
    """
    row = nearest(table, sheet, what=WHAT)
    if row is None:
        return NoData(reason=f"no MLPerf Tiny design on a {sheet.kind} in what was fitted")
    constants = row.constants
    if flow == "finn":
        cycles = constants.get(f"cycles:{variant}", constants.get(f"cycles:{network}"))
        if cycles is None:
            return NoData(reason=f"nobody submitted {network} with FINN or hls4ml")
        seconds = cycles / FABRIC_CLOCK_HZ
    else:
        blocks, share = sheet.fabric.get("dsp"), constants.get(f"share:{network}")
        if blocks is None or share is None:
            return NoData(reason=f"{sheet.id} publishes no DSP blocks, or nobody built {network}")
        seconds = macs / (share * blocks.value * constants["clock_hz"])
    reason = f"designs of {flow} for {variant or network} ({row.source})"
    return estimate(seconds, unit="s", rung=row.rung, spread=row.spread, reasons=(reason,))

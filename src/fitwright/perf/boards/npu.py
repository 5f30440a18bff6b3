"""Whole networks on edge NPUs: a dataflow or systolic engine behind a host link.

``t = start + layers*per_layer + squeeze*max(OP/(peak*u), activations/rate) + reload/batch + host``,
times what the network itself adds where it was measured on the device.
Small engines hold all weights on chip. What does not fit streams over the host link with every
run (Coral: what exceeds its 8 MB), or the network is cut into contexts that are reloaded once
per batch (Hailo). `squeeze`: an engine whose layers all run at once gives each layer fewer
units the more layers there are. Constants per device, family and kind; the utilisation depends
on the style of the network, since depthwise convolutions leave most of an array idle. `host`: what
the engine has no kernels for (the boxes of a detector) runs on the CPU beside it, which is far
slower on a board than in a desktop.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from fitwright.perf.ladder import estimate, nearest
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet
from fitwright.records.workload import Style

WHAT = "npu"
Host = Literal["desktop", "embedded"]
LAYERS_AT_EASE = 55.0
"""Layers at which the squeeze of a style is stated."""
ACTIVATIONS_PER_OP: Mapping[Style, float] = {
    "plain": 1.0e-3,
    "depthwise": 6.5e-3,
    "vit": 5.7e-4,
    "window": 1.9e-3,
    "dense": 1.0e-3,
    "detector": 1.1e-3,
    "recurrent": 1e-3,
    "ranking": 1e-3,
}
"""Numbers written per operation where a network's activations are not published: medians
of the catalogue's networks by style; none has recurrent or ranking ones, theirs is assumed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One network on an NPU.

    Attributes:
        ops: of one sample, 1 MAC = 2.
        weight_bytes: at one byte each.
        activations: numbers written by one sample; 0: unknown.
        num_layers: 0: unknown.
        batch: samples sent together.
        network: its name in the catalogue; empty: unknown.
        host: what sits at the other end of the link.
    """

    style: Style
    ops: float
    weight_bytes: float
    activations: float = 0.0
    num_layers: int = 0
    batch: int = 1
    network: str = ""
    host: Host = "desktop"

    def __post_init__(self) -> None:
        if self.ops <= 0 or self.weight_bytes < 0 or self.batch < 1:
            raise ValueError(f"an NPU needs operations above 0 and a batch of 1 or more: {self}")


def seconds(run: Run, *, sheet: Sheet, table: Iterable[Evidence]) -> Estimate | NoData:
    """Time of one sample at the run's batch; its inverse is frames a second."""
    peak = sheet.peaks.get("int8") or sheet.peaks.get("float8") or sheet.peaks.get("float16")
    if peak is None:
        return NoData(reason=f"{sheet.id} has no peak for int8, float8 or float16")
    row = nearest(table, sheet, what=WHAT)
    if row is None:
        return NoData(reason=f"no network was measured on a {sheet.kind} of this sort")
    character = row.constants.get(f"network:{run.network}")
    value = sample_s(run, sheet=sheet, peak=peak.value, constants=row.constants)
    value = max(value * math.exp(character or 0.0), run.ops / peak.value)
    is_known = character is not None
    spread = row.constants.get("known_network_spread", row.spread) if is_known else row.spread
    reason = f"utilisation of {run.style} networks on {row.scope} ({row.source})"
    return estimate(value, unit="s", rung=row.rung, spread=spread, reasons=(reason,))


def sample_s(run: Run, *, sheet: Sheet, peak: float, constants: Mapping[str, float]) -> float:
    """One sample, whatever the network adds."""
    reloaded_s = reload_s(run, sheet=sheet, constants=constants) / run.batch
    return engine_s(run, peak=peak, constants=constants) + reloaded_s + host_s(run, constants)


def host_s(run: Run, constants: Mapping[str, float]) -> float:
    """What the CPU beside the engine does for each sample."""
    slower = constants.get("host_slower", 1.0) if run.host == "embedded" else 1.0
    return slower * constants.get(f"host_s:{run.style}", 0.0)


def engine_style(name: str, style: Style) -> Style:
    """Mixers multiply by weights alone, as convolutions do: nothing cuts them as attention does."""
    return "plain" if style == "vit" and re.search(r"mlp|mixer", name.lower()) else style


def engine_s(run: Run, *, peak: float, constants: Mapping[str, float]) -> float:
    """With all weights in place."""
    layers = run.num_layers or LAYERS_AT_EASE
    written = run.activations or run.ops * ACTIVATIONS_PER_OP[run.style]
    busy = run.ops / (peak * utilisation(run.style, constants))
    if rate := constants.get("activations_per_s"):
        busy = max(busy, written / rate)
    growth = constants.get(f"growth:{run.style}", 0.0)
    squeeze = constants.get(f"squeeze:{run.style}", 1.0) * math.pow(layers / LAYERS_AT_EASE, growth)
    start = constants.get("start_s", 0.0) + constants.get("layer_s", 0.0) * layers
    return max(start + busy * max(1.0, squeeze), constants.get("frame_s", 0.0))


def utilisation(style: Style, constants: Mapping[str, float]) -> float:
    """Share of the peak that a style reaches with nothing else in its way."""
    return min(1.0, constants.get(f"u:{style}", constants["u"]))


def reload_s(run: Run, *, sheet: Sheet, constants: Mapping[str, float]) -> float:
    """Moving weights that are not on the chip, for one run."""
    link = constants.get("link_bytes_per_s")
    if run.host == "embedded":
        link = constants.get("link_bytes_per_s:embedded", link)
    onchip = sheet.onchip_bytes.value if sheet.onchip_bytes else None
    if link is None or onchip is None:
        return 0.0
    if "context_s" not in constants:
        return max(0.0, run.weight_bytes - onchip) / link
    if not in_contexts(run, onchip_bytes=onchip, constants=constants):
        return 0.0
    return constants["context_s"] + run.weight_bytes / link


def in_contexts(run: Run, *, onchip_bytes: float, constants: Mapping[str, float]) -> bool:
    """Whether the network is cut: too many weights, too many layers, or attention."""
    layers = constants.get(f"most_layers:{run.style}", constants.get("most_layers", 1e9))
    return run.weight_bytes > onchip_bytes or run.num_layers > layers

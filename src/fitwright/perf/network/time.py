"""How long a network takes that is known by its totals: roofline terms and its character.

For one sample of a batch

    t = (start + layers * layer * (units / 16)^e + 2 MAC / peak * compute * (units / 16)^f
         + width * activations / bandwidth * traffic + activations * smooth / peak32
         + width * parameters / (bandwidth * batch)) * exp(character)

`compute` (1 / the share of the peak) and `traffic` (how often each activation is moved) belong
to the style of the network and the runtime; `smooth` is what activations such as SiLU cost in
vector units, where the runtime does not hide them; `layer` is what a layer costs that is run on
all cores of a CPU at once: they wait for each other, the longer the more they are, and fetch what
other cores wrote, so that products slow down alike (`e`, `f`; 0 where samples do not share their
layers; fewer than 16 cores, which nobody measured, are not taken for better at products). On a GPU
it is what starting a small kernel costs. Activations that run as kernels of their own make it count
more often, and two-stage detectors add what one core does alone; `character` is a straight line in
the logarithms of its size, plus what its family and the network itself add where they were
measured. None of them depends on peak or bandwidth, so a faster device is never slower, and what
was fitted on one device carries over to the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fitwright.perf.ladder import estimate, nearest, without_device
from fitwright.perf.network.character import (
    Size,
    activations,
    family_of,
    is_smooth,
    proposes,
    size_of,
    weighed,
)
from fitwright.perf.network.power import PICOJOULES_16, fed_rate
from fitwright.records.estimate import Estimate, NoData, Rung
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet
from fitwright.records.workload import Workload

Runtime = Literal["eager", "compiled", "openvino"]
Mode = Literal["infer", "train", "latency"]
"""``infer``: as many samples as the device takes at once; ``latency``: one after the other."""
WIDTH: Mapping[str, float] = {"float16": 2, "bfloat16": 2, "int8": 1, "float8": 1, "float32": 4}
"""Bytes of one activation; mixed precision keeps them in 16 bits."""
LAUNCH_S: Mapping[Runtime, float] = {"eager": 25e-6, "compiled": 8e-6, "openvino": 4e-6}
"""Host time of one layer on an accelerator: three small kernels of 8 us eager, one compiled.
From small kernels of published sweeps (3 to 14 us each); it decides only at small batches."""
USUAL_LAYERS = 60
"""Convolutions and products one after the other where nobody counted them."""
USUAL_UNITS = 16.0
"""Cores for which the time of a layer is stated; what cores are taken for where nobody says."""
ALIKE: Mapping[str, tuple[str, ...]] = {
    "bfloat16": ("float16", "int8"),
    "float16": ("bfloat16", "int8"),
    "float32": ("float16", "int8"),
}
"""Where no network of a dtype was measured: whose shares of the peak stand in. Products of
both 16-bit formats run on the same units; 32 bits are farther, so the band widens."""
ALIKE_SPREAD: Mapping[str, float] = {"bfloat16": 1.1, "float16": 1.1, "float32": 1.5}
MOST_CHARACTER = 1.5
"""The character never moves a time by more than exp of this: a network far outside of what
was measured is not given an extreme answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """How the network is run.

    Attributes:
        dtype: of the arithmetic, as in `Sheet.peaks`.
        layout: ``nchw``, ``nhwc`` (channels last), or empty where nobody says.
        sockets: processors of this kind that share the work.
        units: ``matrix`` where a CPU multiplies in matrix units, whose share of a far higher
            peak is another; empty otherwise.
    """

    dtype: str
    batch: int = 1
    mode: Mode = "infer"
    runtime: Runtime = "eager"
    layout: str = ""
    sockets: int = 1
    units: Literal["", "matrix"] = ""

    @property
    def what(self) -> str:
        """The name of the evidence."""
        return "/".join(filter(None, ("network", self.mode, self.runtime, self.units)))


def network_time(
    workload: Workload, setting: Setting, sheet: Sheet, *, table: Sequence[Evidence]
) -> Estimate | NoData:
    """Seconds of one batch, from the nearest evidence for this device."""
    peak, bandwidth = peak_of(sheet, setting.dtype), sheet.bandwidth_bytes_per_s
    if peak is None or bandwidth is None or setting.dtype not in WIDTH:
        lacking = "memory bandwidth" if bandwidth is None else f"fast path for {setting.dtype}"
        return NoData(reason=f"{sheet.name} has no published {lacking}")
    found = evidence_for(setting, sheet, table=table)
    if found is None:
        return NoData(
            reason=f"no measured network says how {setting.runtime} runs {setting.dtype} "
            f"({setting.mode}) on a {sheet.kind} such as {sheet.name}"
        )
    shared, own = found
    batch_s = seconds(
        workload,
        setting,
        peak=_rate(peak, sheet, setting) * setting.sockets,
        bandwidth=bandwidth.value * setting.sockets,
        constants=layered(shared, own),
        facts=activation_facts(table),
        vector_peak=_vector_peak(sheet, setting),
        num_units=sheet.num_units.value if sheet.num_units else USUAL_UNITS,
    )
    return _with_band(batch_s, workload, setting, shared=shared, own=own)


def peak_of(sheet: Sheet, dtype: str) -> float | None:
    """FLOP/s or OP/s of this dtype, None without a fast path.

    Frameworks let convolutions of float32 run as TF32 on GPUs that have it.
    """
    fact = sheet.peaks.get("tf32", sheet.peaks.get(dtype)) if dtype == "float32" else None
    fact = fact or sheet.peaks.get(dtype)
    return None if fact is None else fact.value


def multiplies_in(sheet: Sheet, dtype: str) -> Literal["", "matrix"]:
    """``matrix`` for the narrow dtypes of CPUs that have bfloat16 (AMX and its like)."""
    has_matrix = sheet.kind == "cpu" and "bfloat16" in sheet.peaks
    return "matrix" if has_matrix and dtype != "float32" else ""


def _vector_peak(sheet: Sheet, setting: Setting) -> float | None:
    fact = sheet.peaks.get("float32")
    return None if fact is None else fact.value * setting.sockets


def _rate(peak: float, sheet: Sheet, setting: Setting) -> float:
    """The peak, or what the power of a GPU feeds in 16 bits."""
    if sheet.kind != "gpu" or setting.dtype not in ("float16", "bfloat16"):
        return peak
    return fed_rate(peak, sheet, PICOJOULES_16)


def evidence_for(
    setting: Setting, sheet: Sheet, *, table: Sequence[Evidence]
) -> tuple[Evidence, Evidence | None] | None:
    """What the devices of this family or kind share, and what this device adds to it."""
    others = without_device(table, sheet)
    for dtype in (setting.dtype, *ALIKE.get(setting.dtype, ())):
        shared = nearest(others, sheet, what=setting.what, dtype=dtype)
        if shared is not None:
            own = nearest(table, sheet, what=setting.what, dtype=dtype)
            return shared, None if own is shared else own
    return None


def layered(shared: Evidence, own: Evidence | None) -> Mapping[str, float]:
    """The shared constants, corrected by what the device's own evidence adds to each."""
    if own is None:
        return shared.constants
    keys = shared.constants.keys() | own.constants.keys()
    return {k: shared.constants.get(k, 0.0) + own.constants.get(k, 0.0) for k in keys}


def activation_facts(table: Iterable[Evidence]) -> Mapping[str, float]:
    """What the families write per multiply-add; empty: nobody knows."""
    return next((e.constants for e in table if e.what == "network/activations"), {})


def macs_facts(table: Iterable[Evidence]) -> Evidence | None:
    """How many multiply-adds the families do per parameter; None: nobody knows."""
    return next((e for e in table if e.what == "network/macs"), None)


def seconds(
    workload: Workload,
    setting: Setting,
    *,
    peak: float,
    bandwidth: float,
    constants: Mapping[str, float],
    facts: Mapping[str, float],
    vector_peak: float | None = None,
    num_units: float = USUAL_UNITS,
) -> float:
    """One batch: never under the roofline, never under the launches of its layers."""
    plain = plain_s(
        workload,
        setting,
        peak=peak,
        bandwidth=bandwidth,
        constants=constants,
        facts=facts,
        vector_peak=vector_peak,
        num_units=num_units,
    )
    sample_s = plain * math.exp(character(workload, setting, constants))
    layers = workload.num_layers or USUAL_LAYERS
    launches_s = constants.get("has_launches", 1.0) * layers * LAUNCH_S[setting.runtime]
    return max(setting.batch * sample_s, launches_s, floor_s(workload, setting, peak, bandwidth))


def plain_s(
    workload: Workload,
    setting: Setting,
    *,
    peak: float,
    bandwidth: float,
    constants: Mapping[str, float],
    facts: Mapping[str, float],
    vector_peak: float | None = None,
    num_units: float = USUAL_UNITS,
) -> float:
    """One sample by the terms of the style alone, without the character."""
    width, style = WIDTH[setting.dtype], workload.style
    written = activations(workload, facts)
    compute_s = 2 * workload.macs / peak
    traffic_s = width * written / bandwidth
    weights_s = width * workload.parameters / (bandwidth * setting.batch)
    smooth_flops = constants.get("smooth", 0.0) if is_smooth(workload.name) else 0.0
    more_units = num_units / USUAL_UNITS
    sharing: float = max(1.0, more_units) ** constants.get("compute_units", 0.0)
    return (
        constants.get("start_s", 0.0)
        + _layers_s(workload, more_units, constants)
        + compute_s * sharing * constants[f"compute.{style}"]
        + traffic_s * constants[f"traffic.{style}"]
        + written * smooth_flops / (vector_peak or peak)
        + weights_s * constants.get("weights", 1.0)
    )


def _layers_s(workload: Workload, more_units: float, constants: Mapping[str, float]) -> float:
    """What layers cost however small they are, and what is done between two stages."""
    waiting: float = more_units ** constants.get("layer_units", 0.0)
    kernels = float(workload.num_layers or USUAL_LAYERS)
    if is_smooth(workload.name):
        kernels *= constants.get("smooth_kernels", 1.0)
    between_s = constants.get("between_stages_s", 0.0) if proposes(workload.name) else 0.0
    return between_s + kernels * waiting * constants.get(f"layer_s.{workload.style}", 0.0)


def character(workload: Workload, setting: Setting, constants: Mapping[str, float]) -> float:
    """Logarithm of how much slower than its style this network is; bounded."""
    size = size_of(workload)
    line = weighed(constants, "all", size) + curved(constants, size)
    line += weighed(constants, family_of(workload.name), size)
    line += constants.get(f"network.{workload.name}", 0.0)
    last = {"nhwc": 1.0, "nchw": 0.0}.get(setting.layout, 0.5)
    line += last * constants.get(f"channels_last.{workload.style}", 0.0)
    return max(-MOST_CHARACTER, min(MOST_CHARACTER, line))


def curved(constants: Mapping[str, float], size: Size) -> float:
    """The quadratic part of the line of all families."""
    return (
        constants.get("all.macs2", 0.0) * size.macs**2
        + constants.get("all.parameters2", 0.0) * size.parameters**2
        + constants.get("all.side2", 0.0) * size.side**2
        + constants.get("all.macs_parameters", 0.0) * size.macs * size.parameters
    )


def floor_s(workload: Workload, setting: Setting, peak: float, bandwidth: float) -> float:
    """What no software goes below: all multiply-adds at the peak, the weights read once."""
    passes = 3 if setting.mode == "train" else 1
    compute_s = 2 * passes * workload.macs * setting.batch / peak
    return max(compute_s, WIDTH[setting.dtype] * workload.parameters / bandwidth)


def _strange(name: str, constants: Mapping[str, float]) -> tuple[float, str] | None:
    """The spread of networks unlike all that were measured, and in what; None: it was measured."""
    family = family_of(name)
    by_family = constants.get("unknown_family_spread")
    if by_family is not None and family not in constants:
        return by_family, f"no network of the family {family!r} was measured"
    by_network = constants.get("unknown_network_spread")
    if by_network is not None and f"network.{name}" not in constants:
        return by_network, f"{name} itself was not measured"
    return None


def _with_band(
    batch_s: float,
    workload: Workload,
    setting: Setting,
    *,
    shared: Evidence,
    own: Evidence | None,
) -> Estimate:
    nearest_row = own or shared
    rung: Rung = nearest_row.rung
    spread, reasons = nearest_row.spread, [f"fitted to {nearest_row.source}"]
    strange = _strange(workload.name, shared.constants)
    if strange is not None:
        spread, reason = max(spread, strange[0]), strange[1]
        reasons.append(reason)
    if shared.dtype != setting.dtype:
        spread *= ALIKE_SPREAD[setting.dtype]
        rung = "kind" if setting.dtype == "float32" else rung
        reasons.append(f"shares of the peak as measured in {shared.dtype}")
    return estimate(batch_s, unit="s", rung=rung, spread=spread, reasons=reasons)

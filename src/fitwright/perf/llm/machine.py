"""From a sheet and evidence to what a device reaches in a language model, or why nobody knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from fitwright.perf.collective import pace, transfer_s
from fitwright.perf.ladder import nearest, weakest
from fitwright.perf.llm.formats import Format
from fitwright.perf.llm.step import Machine
from fitwright.records.estimate import RUNGS, NoData, Rung
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet

PRODUCTS, ATTENTION, SOFTWARE = "llm/products", "llm/attention", "llm/software"
_ACCEPTED = {
    "float16": ("float16", "bfloat16"),
    "float32": ("float32",),
    "float8": ("float8",),
    "float4": ("float4",),
    "int8": ("int8",),
}

_PLAIN = ("float16", "bfloat16", "float32")
"""Attention is computed in 16 bits (or more) whatever the weights are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reached:
    """A machine with the evidence it was made from.

    Attributes:
        software: the engine.
        spread: factor of the 80 % band that the shares carry.
    """

    machine: Machine
    software: str
    rung: Rung
    spread: float
    reasons: tuple[str, ...]


def peak_flop_per_s(sheet: Sheet, form: Format, *, engine: str = "") -> float | None:
    """Of the format's arithmetic; processors, and llama.cpp anywhere, may widen 16 bits to 32.

    llama.cpp sums in 16 bits: NVIDIA's tensor cores do that at half the pace of int8, which on
    GeForce cards is twice their published pace with sums in 32 bits. On processors it runs vector
    units, at best twice the pace of 32 bits, not matrix units.
    """
    names = _ACCEPTED[form.arithmetic]
    if form.arithmetic == "float16" and (sheet.kind == "cpu" or engine == "llama.cpp"):
        names = (*names, "float32")
    peak = max((sheet.peaks[n].value for n in names if n in sheet.peaks), default=None)
    if peak is None or engine != "llama.cpp" or form.arithmetic != "float16":
        return peak
    if sheet.family == "nvidia-gpu" and "int8" in sheet.peaks:
        return max(peak, sheet.peaks["int8"].value / 2)
    if sheet.kind == "cpu" and "float32" in sheet.peaks:
        return min(peak, 2 * sheet.peaks["float32"].value)
    return peak


POWER_ORDER = 0.7
"""How strongly less power for each peak FLOP slows large products: an A100 PCIe (three quarters
of the SXM's watts at the same peak) keeps about 82 % of its pace."""


def watts_per_peak(sheet: Sheet) -> float | None:
    """TDP for each 16-bit FLOP/s of the peak."""
    peaks = [sheet.peaks[n].value for n in ("bfloat16", "float16") if n in sheet.peaks]
    return sheet.tdp_w.value / max(peaks) if peaks and sheet.tdp_w else None


def _throttled(sheet: Sheet, products: Evidence) -> float:
    """Share of the source's pace that the power limit lets this device of its architecture keep.

    Cards of one architecture differ in power more than in peak: an H100 PCIe has half the watts
    and three quarters of the peak of the SXM module.
    """
    source, own = products.constants.get("watts_per_peak"), watts_per_peak(sheet)
    if products.rung != "architecture" or not source or own is None:
        return 1.0
    return float(min(1.0, own / source) ** POWER_ORDER)


def _for_engine(
    table: tuple[Evidence, ...], sheet: Sheet, *, what: str, engine: str, dtype: str
) -> Evidence | None:
    """The nearer of what was found with this engine and what was found without any."""
    own = nearest(table, sheet, what=f"{what}/{engine}", dtype=dtype)
    other = nearest(table, sheet, what=what, dtype=dtype)
    found = [e for e in (own, other) if e is not None]
    return min(found, key=lambda e: RUNGS.index(e.rung), default=None)


def _reduction(
    sheet: Sheet, table: tuple[Evidence, ...], tp: int
) -> Callable[[float], float] | NoData | None:
    if tp == 1:
        return None
    found = pace("all_reduce", sheet=sheet, table=table, ranks=tp)
    if isinstance(found, NoData):
        return found
    return lambda num_bytes: float(transfer_s("all_reduce", num_bytes, ranks=tp, pace=found))


def reach(
    sheet: Sheet, table: Iterable[Evidence], *, form: Format, engine: str, tp: int = 1
) -> Reached | NoData:
    """What one device of a tensor-parallel group reaches under a serving engine.

    Args:
        sheet: needs a bandwidth and a peak of the format's arithmetic.
        table: rows ``llm/…`` and ``collective/…``.
        engine: ``trtllm``, ``vllm``, ``sglang``, ``torch-compile``, ``eager``, ``llama.cpp`` …
    """
    rows = tuple(table)
    peak = peak_flop_per_s(sheet, form, engine=engine)
    if peak is None:
        return NoData(reason=f"{sheet.id} has no published fast path for {form.arithmetic}")
    if sheet.bandwidth_bytes_per_s is None or sheet.memory_bytes is None:
        return NoData(reason=f"{sheet.id} has no published memory or bandwidth")
    products = _for_engine(rows, sheet, what=PRODUCTS, engine=engine, dtype=form.group)
    kv_dtype = "float8" if form.kv_bytes < 2 else "float16"
    attention = _for_engine(rows, sheet, what=ATTENTION, engine=engine, dtype=kv_dtype)
    software = nearest(rows, sheet, what=SOFTWARE, dtype=engine)
    if products is None or attention is None or software is None:
        return NoData(
            reason=f"no evidence of {form.group} language models under {engine} "
            f"on a {sheet.kind}, nor on its family"
        )
    summed = _reduction(sheet, rows, tp)
    if isinstance(summed, NoData):
        return summed
    machine = _machine(
        sheet,
        peak=peak,
        memory=sheet.memory_bytes.value,
        bandwidth=sheet.bandwidth_bytes_per_s.value,
        constants={**software.constants, **attention.constants, **products.constants},
        throttled=_throttled(sheet, products),
        reduce_s=summed,
    )
    return Reached(
        machine=machine,
        software=engine,
        rung=weakest((products.rung, attention.rung)),
        spread=products.spread,
        reasons=(
            f"shares of the peaks from {products.scope}: {products.source}",
            f"software: {engine}: {software.source}",
        ),
    )


def _machine(
    sheet: Sheet,
    *,
    peak: float,
    memory: float,
    bandwidth: float,
    constants: Mapping[str, float],
    throttled: float,
    reduce_s: Callable[[float], float] | None,
) -> Machine:
    """Shares times peaks, and the software's times."""
    plain = max((sheet.peaks[n].value for n in _PLAIN if n in sheet.peaks), default=peak)
    pace = constants.get("pace", 1.0)  # of the engine's products against measured alone
    return Machine(
        flop_per_s=peak * constants["compute_share"] * throttled * pace,
        attention_flop_per_s=plain * constants["prefill_share"] * throttled,
        weight_bytes_per_s=bandwidth * constants["weight_share"],
        kv_bytes_per_s=bandwidth * constants["kv_share"],
        kv_order=constants.get("kv_order", 0.0),
        step_s=constants["step_s"],
        sequence_s=constants["sequence_s"],
        layer_s=constants["layer_s"],
        host_layer_s=constants.get("host_layer_s", 0.0),
        memory_bytes=memory,
        reduce_s=reduce_s,
    )

"""What was achieved against what the machine can do, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.bench.setup import Target
from fitwright.records.contract import Traffic
from fitwright.records.device import Device
from fitwright.records.figure import Figure

INT8_TITLES = ("int8_static", "int8_dynamic")


def physics_figures(
    target: Target,
    figures: Mapping[str, Figure],
    *,
    device: Device,
    facts: Mapping[str, str],
    traffic: Traffic,
) -> dict[str, Figure]:
    """``achieved_flops``, ``achieved_bandwidth`` and their shares of the device's peaks.

    Counted work of one query of the original over the measured time per query: work that
    an adaptation saves (smaller weights, fused operators) is still counted, so the
    bandwidth is what the original would have needed, and a share may exceed 1.
    """
    rate = queries_per_s(figures, traffic=traffic)
    dtype = arithmetic_dtype(target, facts)
    peak = device.peaks.get(dtype) or Figure.unavailable(f"no peak of {dtype} is known here")
    flops = _achieved(rate, target.flops, unit="FLOP/s", what="FLOP counted in the original")
    moved = _achieved(rate, target.bytes_moved, unit="B/s", what="bytes counted in the original")
    return {
        "achieved_flops": flops,
        "achieved_bandwidth": moved,
        "share_of_peak_flops": _share(flops, peak, of=f"the measured {dtype} peak"),
        "share_of_peak_bandwidth": _share(moved, device.bandwidth, of="the measured bandwidth"),
    }


def queries_per_s(figures: Mapping[str, Figure], *, traffic: Traffic) -> Figure:
    """One over the median latency for single_stream, else the throughput of queries."""
    latency = figures["latency_p50"]
    if traffic.scenario == "single_stream" and latency.value:
        return _over(1.0, latency, unit="/s", source="median latency")
    throughput = figures["throughput"]
    if throughput.value is None:
        return throughput
    return _scaled(throughput, 1 / traffic.batch, unit="/s", source="throughput")


def arithmetic_dtype(target: Target, facts: Mapping[str, str]) -> str:
    """Which peak applies: of what the heavy operators compute in, as far as it is stated."""
    if any(word in target.candidate.title for word in INT8_TITLES):
        return "int8"
    stated = " ".join(v for k, v in facts.items() if "precision" in k.lower()).lower()
    settings = target.candidate.settings.precision
    if settings == "bfloat16" or "bf16" in stated or "bfloat16" in stated:
        return "bfloat16"
    return "float32"


def cost_figure(throughput: Figure, *, price_usd_per_s: float | None) -> Figure:
    """US dollars per inference of a machine kept busy: its price over its throughput."""
    if price_usd_per_s is None:
        return Figure.unavailable(
            "no price is known; add 'price: 0.10 USD/h' to the contract", unit="usd"
        )
    if not throughput.value:
        return Figure.unavailable(f"no throughput: {throughput.source}", unit="usd")
    return _over(price_usd_per_s, throughput, unit="usd", source="price over throughput, busy")


def _achieved(rate: Figure, work: int | None, *, unit: str, what: str) -> Figure:
    if work is None:
        return Figure.unavailable("the model has operators without a counting rule", unit=unit)
    if rate.value is None:
        return Figure.unavailable(rate.source, unit=unit)
    return _scaled(rate, work, unit=unit, source=f"{what}, times {rate.source}")


def _share(achieved: Figure, peak: Figure, *, of: str) -> Figure:
    if achieved.value is None or not peak.value:
        return Figure.unavailable(achieved.source if achieved.value is None else peak.source)
    return _scaled(achieved, 1 / peak.value, unit="", source=f"share of {of}")


def _scaled(figure: Figure, factor: float, *, unit: str, source: str) -> Figure:
    assert figure.value is not None, "callers ask first"
    return Figure.measured(
        figure.value * factor,
        unit=unit,
        low=None if figure.low is None else figure.low * factor,
        high=None if figure.high is None else figure.high * factor,
        source=source,
        num_samples=figure.num_samples,
    )


def _over(number: float, figure: Figure, *, unit: str, source: str) -> Figure:
    """number / figure; the ends swap."""
    assert figure.value, "callers ask first"
    return Figure.measured(
        number / figure.value,
        unit=unit,
        low=number / figure.high if figure.high else None,
        high=number / figure.low if figure.low else None,
        source=source,
        num_samples=figure.num_samples,
    )

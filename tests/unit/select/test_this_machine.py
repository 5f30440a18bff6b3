"""This machine is judged twice, by published rules and by its measured peaks, and told once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fitwright.flow.choose import with_local
from fitwright.records.estimate import NoData
from fitwright.records.need import Limit
from fitwright.records.prospect import Prospect, Way
from fitwright.records.selection import Selection

Make = Callable[..., Any]


def prospect(name: str) -> Prospect:
    why = NoData(reason="nobody measured it")
    way = Way(
        dtype="float32", runtime="onnxruntime", rounds=False, latency_s=why, memory_bytes=why,
        energy_j=why,
    )  # fmt: skip
    return Prospect(
        device_id=name, name=name, kind="cpu", way=way, figures={}, outlooks=(),
        expected="cannot meet",
    )  # fmt: skip


def found_here(need: Make, summary: Make, device: Make, *, bound_s: float) -> Selection:
    limit = Limit(name="latency_p99", figure="latency_p99", sense="at_most", bound=bound_s)
    found = Selection(choices=(), refused=(), prospects=(prospect("local"), prospect("l4")))
    return with_local(found, need(limit), summary(), device())


def test_what_its_measured_peaks_refuse_is_no_prospect_any_more(
    need: Make, summary: Make, device: Make
) -> None:
    # 4 GFLOP take 10 ms at the 400 GFLOP/s of int8
    found = found_here(need, summary, device, bound_s=1e-3)
    assert [r.device_id for r in found.refused] == ["local"]
    assert [p.device_id for p in found.prospects] == ["l4"]


def test_what_its_measured_peaks_allow_stays_a_prospect(
    need: Make, summary: Make, device: Make
) -> None:
    found = found_here(need, summary, device, bound_s=1.0)
    assert found.refused == ()
    assert [p.device_id for p in found.prospects] == ["local", "l4"]
    assert [c.device.id for c in found.choices] == ["local"]

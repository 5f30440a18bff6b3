"""Joules from a powercap tree, from busy time, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench_machine import FakeClock, FakeWorker, device
from fitwright.bench.energy import energy_figure, energy_meter
from fitwright.records.contract import Traffic
from fitwright.records.figure import Figure

RANGE_UJ = 262_143_328_850


def domain(root: Path, name: str, kind: str, energy_uj: int) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{kind}\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    return folder


def test_packages_are_summed_and_what_is_beneath_them_is_not(tmp_path: Path) -> None:
    first = domain(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    second = domain(tmp_path, "intel-rapl:1", "package-1", 5_000_000)
    core = domain(tmp_path, "intel-rapl:0:0", "core", 0)
    platform = domain(tmp_path, "intel-rapl:2", "psys", 0)
    meter = energy_meter(tmp_path)
    assert meter is not None
    before_j = meter.energy_j()
    for folder, energy_uj in ((first, 3_000_000), (second, 5_500_000), (core, 10**9)):
        (folder / "energy_uj").write_text(str(energy_uj))
    (platform / "energy_uj").write_text("999999999")
    # sums of whole microjoules, scaled once
    assert meter.energy_j() - before_j == pytest.approx(2.5, abs=1e-9)


def test_a_counter_that_wraps_goes_on_counting(tmp_path: Path) -> None:
    package = domain(tmp_path, "intel-rapl:0", "package-0", RANGE_UJ - 1_000_000)
    meter = energy_meter(tmp_path)
    assert meter is not None
    before_j = meter.energy_j()
    (package / "energy_uj").write_text("2000000")
    assert meter.energy_j() - before_j == pytest.approx(3.0, abs=1e-9)
    (package / "energy_uj").write_text("4000000")
    assert meter.energy_j() - before_j == pytest.approx(5.0, abs=1e-9)


def test_no_powercap_tree_is_no_meter(tmp_path: Path) -> None:
    assert energy_meter(tmp_path / "absent") is None
    domain(tmp_path, "intel-rapl:0", "psys", 0)
    assert energy_meter(tmp_path) is None


def test_an_unreadable_counter_is_no_meter(tmp_path: Path) -> None:
    package = domain(tmp_path, "intel-rapl:0", "package-0", 0)
    (package / "energy_uj").unlink()
    (package / "energy_uj").mkdir()  # reading fails even for root
    assert energy_meter(tmp_path) is None


class DrawingMeter:
    """A machine that draws constant power on the fake clock."""

    source = "fake counter"

    def __init__(self, clock: FakeClock, power_w: float, *, fails: bool = False) -> None:
        self._clock, self._power_w, self._fails = clock, power_w, fails

    def energy_j(self) -> float:
        if self._fails:
            raise PermissionError(13, "Permission denied")
        return self._clock.now_s * self._power_w


def figure(
    *,
    meter: DrawingMeter | None = None,
    clock: FakeClock | None = None,
    traffic: Traffic | None = None,
    **power: Figure,
) -> Figure:
    worker = FakeWorker(clock or FakeClock(), latency=lambda i: 0.01, cores_busy=2.0)
    return energy_figure(
        worker,
        meter=meter,
        device=device(**power),
        traffic=traffic or Traffic(),
        seconds=1.0,
        seed=0,
    )


def watts(value: float, *, low: float | None = None, high: float | None = None) -> Figure:
    return Figure.measured(value, unit="W", low=low, high=high)


def test_counted_energy_is_power_times_time_per_inference() -> None:
    clock = FakeClock()
    found = figure(meter=DrawingMeter(clock, 30.0), clock=clock)
    assert found.label == "measured"
    assert found.unit == "J"
    # 30 W for 10 ms
    assert found.value == pytest.approx(0.3)
    assert "idle power included" in found.source


def test_a_batch_shares_the_energy_of_its_query() -> None:
    clock = FakeClock()
    found = figure(meter=DrawingMeter(clock, 30.0), clock=clock, traffic=Traffic(batch=10))
    assert found.value == pytest.approx(0.03)


def test_a_counter_that_fails_later_is_unavailable_with_the_reason() -> None:
    clock = FakeClock()
    found = figure(meter=DrawingMeter(clock, 30.0, fails=True), clock=clock)
    assert found.label == "unavailable"
    assert "Permission denied" in found.source


def test_without_a_counter_busy_time_gives_an_estimate_with_a_wide_interval() -> None:
    found = figure(idle_power=watts(10), loaded_power=watts(50))
    assert found.label == "estimated"
    # 2 of 4 threads busy: 10 + 0.5 * 40 = 30 W, for 10 ms
    assert found.value == pytest.approx(0.3)
    assert found.low == pytest.approx(0.15)
    assert found.high == pytest.approx(0.45)
    assert "50%" in found.source


def test_unsure_power_figures_widen_the_estimate() -> None:
    found = figure(idle_power=watts(10, low=5, high=20), loaded_power=watts(50, low=40, high=80))
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.15
    assert found.high > 0.45


def test_without_counter_and_power_there_is_no_number() -> None:
    found = figure()
    assert found.label == "unavailable"
    assert "power of this device is unknown" in found.source

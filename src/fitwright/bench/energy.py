"""Joules per inference: counted, estimated with a wide interval, or unavailable."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from fitwright.bench.load import busy_block
from fitwright.bench.statistics import mean_interval
from fitwright.ports import Meter, Worker
from fitwright.records.contract import Traffic
from fitwright.records.device import Device
from fitwright.records.figure import Figure

Serve = Callable[..., tuple[int, float]]
"""`busy_block` of one worker: queries served and elapsed time for `seconds` and a `seed`."""

POWERCAP = Path("/sys/class/powercap")
MICROJOULE = 1e-6
NUM_BLOCKS = 8
MIN_BLOCK_S = 0.1
ESTIMATE_SPREAD = 0.5


class RaplMeter:
    """Energy of all CPU packages from the kernel's powercap files.

    The kernel's counters wrap at ``max_energy_range_uj``; one wrap between two readings is
    undone, more cannot be seen (hours at usual power), so it must be read now and then.
    """

    source = "RAPL package counters, the whole package including what else runs on it"

    def __init__(self, domains: tuple[Path, ...]) -> None:
        self._ranges_uj = {d: _read(d / "max_energy_range_uj") for d in domains}
        self._last_uj = {d: _read(d / "energy_uj") for d in domains}
        self._total_uj = 0

    def energy_j(self) -> float:
        """Joules since this meter was made. Raises OSError when the files went away."""
        for domain, last_uj in self._last_uj.items():
            now_uj = _read(domain / "energy_uj")
            step_uj = now_uj - last_uj
            self._total_uj += step_uj if step_uj >= 0 else step_uj + self._ranges_uj[domain]
            self._last_uj[domain] = now_uj
        return self._total_uj * MICROJOULE


def energy_meter(root: Path = POWERCAP) -> Meter | None:
    """The machine's package counters, or None where none can be read.

    Since 2020 kernels let only root read them (CVE-2020-8694); virtual machines have none.
    """
    domains = tuple(d for d in sorted(root.glob("intel-rapl:*")) if _is_package(d))
    try:
        return RaplMeter(domains) if domains else None
    except (OSError, ValueError):
        return None


def _is_package(domain: Path) -> bool:
    """Packages only: cores and memory controllers beneath are counted in them or apart."""
    try:
        return (domain / "name").read_text().strip().startswith("package")
    except OSError:
        return False


def _read(file: Path) -> int:
    return int(file.read_text())


def energy_figure(
    worker: Worker,
    *,
    meter: Meter | None,
    device: Device,
    traffic: Traffic,
    seconds: float,
    seed: int,
    latency_s: float = 0.0,
) -> Figure:
    """Joules per inference under the contract's traffic.

    Measured where a counter is readable: everything the packages draw while serving,
    idle power included, over the inferences served. Else estimated from CPU time:
    idle power over the elapsed time, plus (loaded - idle) power times the busy share of
    the hardware threads (power linear in utilisation: Fan, Weber & Barroso, ISCA 2007);
    on one machine that line can be off by half, and the interval says so.

    Args:
        latency_s: of one query, where known; shortens what an overload would draw out.

    Raises:
        TrialFailed: the child died.
    """
    serve = partial(busy_block, worker, traffic=traffic, latency_s=latency_s)
    if meter is None:
        return _estimated(worker, serve, device=device, traffic=traffic, seconds=seconds, seed=seed)
    try:
        return _counted(serve, meter, traffic=traffic, seconds=seconds, seed=seed)
    except OSError as error:
        return Figure.unavailable(f"the energy counter failed: {error.strerror}", unit="J")


def _counted(serve: Serve, meter: Meter, *, traffic: Traffic, seconds: float, seed: int) -> Figure:
    length_s = max(MIN_BLOCK_S, seconds / NUM_BLOCKS)
    per_inference_j = []
    for number in range(NUM_BLOCKS):
        before_j = meter.energy_j()
        num, _ = serve(seconds=length_s, seed=seed + number)
        per_inference_j.append((meter.energy_j() - before_j) / (max(num, 1) * traffic.batch))
    value = sum(per_inference_j) / len(per_inference_j)
    low, high = mean_interval(per_inference_j, seed=seed)
    return Figure.measured(
        value,
        unit="J",
        low=min(value, low),
        high=max(value, high),
        source=f"{meter.source}; idle power included; {NUM_BLOCKS} blocks",
        num_samples=NUM_BLOCKS,
    )


def _estimated(
    worker: Worker,
    serve: Serve,
    *,
    device: Device,
    traffic: Traffic,
    seconds: float,
    seed: int,
) -> Figure:
    idle_w, loaded_w = device.idle_power, device.loaded_power
    if idle_w.value is None or loaded_w.value is None:
        return Figure.unavailable(
            "no energy counter is readable here and the power of this device is unknown", unit="J"
        )
    before_s = worker.busy_s()
    num, elapsed_s = serve(seconds=seconds, seed=seed)
    busy_share = min(1.0, (worker.busy_s() - before_s) / (elapsed_s * device.num_threads))
    per_inference_s = elapsed_s / (max(num, 1) * traffic.batch)

    def energy_j(idle: float, loaded: float) -> float:
        return (idle + (loaded - idle) * busy_share) * per_inference_s

    value = energy_j(idle_w.value, loaded_w.value)
    ends = (
        energy_j(_end(idle_w, "low"), _end(loaded_w, "low")),
        energy_j(_end(idle_w, "high"), _end(loaded_w, "high")),
    )
    return Figure(
        value=value,
        low=(1 - ESTIMATE_SPREAD) * min(value, *ends),
        high=(1 + ESTIMATE_SPREAD) * max(value, *ends),
        unit="J",
        label="estimated",
        source=f"busy share {busy_share:.0%} of {device.num_threads} hardware threads between "
        "idle and loaded power of the device; interval ±50 %, no counter is readable here",
        num_samples=num,
    )


def _end(figure: Figure, side: str) -> float:
    end = figure.low if side == "low" else figure.high
    assert figure.value is not None, "checked by the caller"
    return figure.value if end is None else end

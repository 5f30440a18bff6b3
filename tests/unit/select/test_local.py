"""The local device: probes through the ports, and the cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from fitwright.errors import TrialFailed
from fitwright.ports import Availability, ChildLimits
from fitwright.records.plan import Settings
from fitwright.select.bandwidth import Copied, array_bytes, copy_rates
from fitwright.select.host import Host
from fitwright.select.local import local_device

HOST = Host(
    cpu="AMD EPYC 9654",
    vendor="AuthenticAMD",
    family=25,
    model=17,
    architecture="x86_64",
    instruction_sets=("avx512f", "avx512_bf16"),
    num_cores=2,
    num_threads=4,
    machine_cores=96,
    cpu_quota=None,
    is_virtual=True,
    caches=(),
    memory_bytes=1 << 30,
    energy_counters=(),
    energy_readable=False,
)

COPIED = Copied(num_threads=1, rates_bytes_per_s=(10e9, 12e9, 11e9), cpu_share=1.0)


@dataclass
class FakeRuntime:
    name: str
    missing: str = ""
    version: str = "1.0"

    def availability(self) -> Availability:
        return Availability(version=None if self.missing else self.version, missing=self.missing)

    def formats(self) -> tuple[str, ...]:
        return ("onnx",)

    def load(self, model: Path, settings: Settings) -> Any:
        raise AssertionError("the executor is a fake; nothing is loaded")


@dataclass
class FakeWorker:
    """Answers with the times it was given; two threads get `cpu_share` of their CPU time."""

    times_s: Sequence[float]
    cpu_share: float = 1.0
    used_s: float = 0.0
    fed: dict[str, tuple[int, ...]] = field(default_factory=dict)
    closed: bool = False
    load_s: float = 0.0
    facts: Mapping[str, str] = field(default_factory=dict)

    def feed(self, inputs: Mapping[str, Any]) -> None:
        self.fed = {name: array.shape for name, array in inputs.items()}

    def time_block(self, *, seconds: float, min_runs: int = 1) -> Sequence[float]:
        self.used_s += 2 * sum(self.times_s) * self.cpu_share
        return self.times_s

    def busy_s(self) -> float:
        return self.used_s

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeExecutor:
    """Seconds per run by (backend, model, precision); an exception instead is raised."""

    times_s: dict[tuple[str, str, str | None], Any]
    copied: Any = COPIED
    cpu_share: float = 1.0
    opened: list[tuple[str, str, Settings]] = field(default_factory=list)
    workers: list[FakeWorker] = field(default_factory=list)

    def open(
        self, runtime: Any, model: Path, settings: Settings, *, limits: ChildLimits
    ) -> FakeWorker:
        self.opened.append((runtime.name, model.stem, settings))
        answer = self.times_s[runtime.name, model.stem, settings.precision]
        if isinstance(answer, Exception):
            raise answer
        self.workers.append(FakeWorker(answer, cpu_share=self.cpu_share))
        return self.workers[-1]

    def call(self, function: Callable[..., Any], limits: ChildLimits, /, *_: Any, **__: Any) -> Any:
        if isinstance(self.copied, Exception):
            raise self.copied
        return self.copied


RUNTIMES = (FakeRuntime("onnxruntime"), FakeRuntime("openvino"))
ALL = {
    ("onnxruntime", "float32", None): [0.4, 0.2, 0.4],
    ("openvino", "float32", "float32"): [0.1, 0.1, 0.1],
    ("openvino", "float32", "bfloat16"): [0.05],
    ("onnxruntime", "int8", None): [0.02],
    ("openvino", "int8", None): [0.03],
}
CRASH = TrialFailed("the child crashed", code="FW401")


def probe(executor: FakeExecutor, cache: Path, *, host: Host = HOST, **more: Any) -> Any:
    runtimes = more.pop("runtimes", RUNTIMES)
    return local_device(executor=executor, runtimes=runtimes, cache=cache, host=host, **more)


def test_the_best_backend_wins_each_dtype_and_is_named(tmp_path: Path) -> None:
    device = probe(FakeExecutor(ALL), tmp_path)
    assert "openvino" in device.peaks["float32"].source
    assert "openvino" in device.peaks["bfloat16"].source
    assert "onnxruntime" in device.peaks["int8"].source
    assert all(f.label == "measured" for f in device.peaks.values())
    # int8 runs five times as fast as float32 in the fake times
    float32, int8 = device.peaks["float32"].value, device.peaks["int8"].value
    assert int8 == pytest.approx(5 * float32)
    assert device.bandwidth.high == 12e9


def test_float32_is_stated_where_the_default_may_be_lower(tmp_path: Path) -> None:
    executor = FakeExecutor(ALL)
    probe(executor, tmp_path)
    stated = {(name, s.precision) for name, model, s in executor.opened if model == "float32"}
    assert stated == {("onnxruntime", None), ("openvino", "float32"), ("openvino", "bfloat16")}
    assert {s.threads for _, _, s in executor.opened} == {2}


def test_every_worker_is_fed_and_closed(tmp_path: Path) -> None:
    executor = FakeExecutor(ALL)
    probe(executor, tmp_path)
    assert len(executor.workers) == 5
    assert all(w.closed for w in executor.workers)
    assert all(list(w.fed.values()) == [(1, 1024, 1024)] for w in executor.workers)


def test_a_cpu_without_bfloat16_is_not_asked_for_it(tmp_path: Path) -> None:
    executor = FakeExecutor(ALL)
    device = probe(executor, tmp_path, host=replace(HOST, instruction_sets=("avx2",)))
    assert device.peaks["bfloat16"].label == "unavailable"
    assert all(s.precision != "bfloat16" for _, _, s in executor.opened)


def test_a_probe_that_fails_leaves_the_other_backend(tmp_path: Path) -> None:
    device = probe(FakeExecutor(ALL | {("openvino", "float32", "float32"): CRASH}), tmp_path)
    assert "onnxruntime" in device.peaks["float32"].source


def test_a_peak_that_nobody_could_measure_is_unavailable_with_every_reason(
    tmp_path: Path,
) -> None:
    broken = dict.fromkeys(ALL, CRASH)
    device = probe(FakeExecutor(broken, copied=CRASH), tmp_path)
    assert device.peaks["int8"].value is None
    assert "onnxruntime: the child crashed" in device.peaks["int8"].source
    assert "openvino: the child crashed" in device.peaks["int8"].source
    assert device.bandwidth.label == "unavailable"


def test_a_missing_backend_is_left_out_and_named(tmp_path: Path) -> None:
    runtimes = (RUNTIMES[0], FakeRuntime("openvino", missing="openvino"))
    device = probe(FakeExecutor(ALL), tmp_path, runtimes=runtimes)
    assert device.backends == ("onnxruntime",)
    assert "onnxruntime" in device.peaks["float32"].source
    assert "openvino is not installed" in device.peaks["bfloat16"].source


def test_the_probe_is_made_once_per_machine(tmp_path: Path) -> None:
    first = probe(FakeExecutor(ALL), tmp_path)
    again = FakeExecutor(ALL)
    assert probe(again, tmp_path) == first
    assert again.opened == []


@pytest.mark.parametrize(
    "changed",
    [{"memory_bytes": 2 << 30}, {"num_cores": 1}, {"cpu": "AMD EPYC 9124"}, {"cpu_quota": 1.0}],
)
def test_another_machine_is_measured_anew(tmp_path: Path, changed: dict[str, Any]) -> None:
    probe(FakeExecutor(ALL), tmp_path)
    executor = FakeExecutor(ALL)
    probe(executor, tmp_path, host=replace(HOST, **changed))
    assert executor.opened


def test_another_backend_version_is_measured_anew(tmp_path: Path) -> None:
    probe(FakeExecutor(ALL), tmp_path)
    executor = FakeExecutor(ALL)
    probe(executor, tmp_path, runtimes=(RUNTIMES[0], FakeRuntime("openvino", version="2")))
    assert executor.opened


def test_force_measures_again(tmp_path: Path) -> None:
    probe(FakeExecutor(ALL), tmp_path)
    executor = FakeExecutor(ALL)
    probe(executor, tmp_path, force=True)
    assert executor.opened


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"id": "local"}'])
def test_a_corrupt_cache_is_measured_again_and_repaired(tmp_path: Path, content: bytes) -> None:
    first = probe(FakeExecutor(ALL), tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert probe(FakeExecutor(ALL), tmp_path) == first
    unused = FakeExecutor(ALL)
    assert probe(unused, tmp_path) == first
    assert unused.opened == []


def test_a_probe_that_failed_is_not_kept(tmp_path: Path) -> None:
    broken = ALL | {("openvino", "int8", None): CRASH, ("onnxruntime", "int8", None): CRASH}
    probe(FakeExecutor(broken), tmp_path)
    device = probe(FakeExecutor(ALL), tmp_path)
    assert device.peaks["int8"].label == "measured"


def test_a_cache_that_cannot_be_written_is_said_and_costs_no_figure(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    device = probe(FakeExecutor(ALL), blocked)
    assert device.peaks["float32"].label == "measured"
    assert any("probe not stored" in n for n in device.notes)


def test_power_and_notes_follow_the_host(tmp_path: Path) -> None:
    device = probe(FakeExecutor(ALL), tmp_path)
    # two of 96 cores of a 360 W package, times 1.02
    assert device.loaded_power.value == pytest.approx(7.65)
    assert any("virtual machine" in n for n in device.notes)
    assert any("no RAPL" in n for n in device.notes)


def test_the_copied_array_is_larger_than_any_cache_yet_fits_in_memory() -> None:
    assert array_bytes(last_cache_bytes=32 << 20, memory_bytes=1 << 40) == 128 << 20
    assert array_bytes(last_cache_bytes=0, memory_bytes=1 << 40) == 64 << 20
    assert array_bytes(last_cache_bytes=512 << 20, memory_bytes=1 << 40) == 1 << 30
    assert array_bytes(last_cache_bytes=32 << 20, memory_bytes=256 << 20) == 32 << 20


@pytest.mark.parametrize("num_threads", [1, 2])
def test_copy_rates_are_positive_and_as_many_as_asked(num_threads: int) -> None:
    copied = copy_rates(1 << 20, num_threads=num_threads, repeats=3)
    assert len(copied.rates_bytes_per_s) == 3
    assert min(copied.rates_bytes_per_s) > 0
    assert 0 < copied.cpu_share <= 1


def made_long_ago(cache: Path) -> None:
    (file,) = cache.iterdir()
    os.utime(file, (0, 0))


def test_on_a_busy_machine_the_interval_reaches_up_to_the_whole_cpu(tmp_path: Path) -> None:
    quiet = probe(FakeExecutor(ALL), tmp_path / "a").peaks["float32"]
    busy = probe(FakeExecutor(ALL, cpu_share=0.25), tmp_path / "b")
    assert busy.peaks["float32"].value == quiet.value
    assert busy.peaks["float32"].high == pytest.approx(4 * quiet.high)
    assert any("busy" in n and "25%" in n for n in busy.notes)


def test_a_disturbed_probe_is_kept_for_minutes_and_then_made_again(tmp_path: Path) -> None:
    first = probe(FakeExecutor(ALL, cpu_share=0.5), tmp_path)
    soon = FakeExecutor(ALL)
    assert probe(soon, tmp_path) == first
    assert soon.opened == []
    made_long_ago(tmp_path)
    later = FakeExecutor(ALL)
    assert not any("busy" in n for n in probe(later, tmp_path).notes)
    assert later.opened


def test_an_undisturbed_probe_is_never_made_again(tmp_path: Path) -> None:
    probe(FakeExecutor(ALL), tmp_path)
    made_long_ago(tmp_path)
    executor = FakeExecutor(ALL)
    probe(executor, tmp_path)
    assert executor.opened == []


def test_of_two_disturbed_probes_the_higher_figures_stay(tmp_path: Path) -> None:
    first = probe(FakeExecutor(ALL, cpu_share=0.5), tmp_path)
    made_long_ago(tmp_path)
    slower = {way: [10 * t for t in times] for way, times in ALL.items()}
    slower[("openvino", "int8", None)] = [0.01]
    second = probe(FakeExecutor(slower, cpu_share=0.4), tmp_path)
    assert second.peaks["float32"] == first.peaks["float32"]
    assert second.peaks["int8"].value == pytest.approx(2 * first.peaks["int8"].value)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="children need POSIX")
def test_a_real_probe_of_this_machine_measures_and_is_kept(tmp_path: Path) -> None:
    from fitwright.backends import RUNTIMES as REAL
    from fitwright.executors.local import LocalExecutor

    runtimes = tuple(REAL.values())
    device = local_device(executor=LocalExecutor(), runtimes=runtimes, cache=tmp_path)
    float32 = device.peaks["float32"].value
    # any CPU that runs this lies far within: an 8 MHz soft core to a rack
    assert float32 is not None and 1e8 < float32 < 1e15
    assert device.bandwidth.value is not None and 1e8 < device.bandwidth.value < 1e13
    assert len(list(tmp_path.iterdir())) == 1

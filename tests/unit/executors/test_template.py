"""Children are copies of a process that has imported the backend; each is alone all the same."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path
from typing import Any

import pytest

from fitwright.backends.onnxruntime.runtime import OnnxRuntime
from fitwright.backends.openvino.runtime import OpenVino
from fitwright.executors import template
from fitwright.executors.local import LocalChild, LocalExecutor, LocalWorker
from fitwright.ports import ChildLimits, Runtime
from fitwright.records.plan import Settings
from fitwright.testing import faults
from fitwright.testing.models import write_two_layers

LIMITS = ChildLimits(wall_s=30.0)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_two_layers(tmp_path / "model.onnx")


def parent_of_warden(child: LocalChild) -> int:
    """The template that a child was copied from."""
    warden, _ = child.ask("testing", "call", os.getppid, (), {})
    status = Path(f"/proc/{warden}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("PPid:"))


@pytest.mark.parametrize("runtime", [OnnxRuntime(), OpenVino()], ids=lambda r: r.name)
def test_a_framework_imported_ahead_leaves_no_thread_that_a_fork_would_lose(
    runtime: Runtime,
) -> None:
    if runtime.availability().missing:
        pytest.skip(f"{runtime.name} is not installed")
    made = template.Template(pickle.dumps(runtime))
    assert made.prepared.num_threads == 1
    assert made.prepared.import_s > 0
    made.close()


def test_what_one_child_changes_no_other_sees() -> None:
    executor = LocalExecutor()
    assert executor.call(faults.remember, LIMITS, "first") == ["first"]
    assert executor.call(faults.remember, LIMITS, "second") == ["second"]


@pytest.mark.parametrize("fault", ["starts a thread", "raises", "ends"])
def test_a_framework_that_cannot_be_imported_ahead_is_left_to_the_child(fault: Any) -> None:
    child = LocalChild(LIMITS, runtime=faults.Unprepared(fault))  # type: ignore[arg-type]
    assert child.ask("testing", "call", faults.echo, (1,), {})[0] == 1
    child.end()


def test_a_template_that_was_killed_is_started_again(model: Path) -> None:
    child = LocalChild(LIMITS, runtime=OnnxRuntime())
    os.kill(parent_of_warden(child), signal.SIGKILL)
    assert child.ask("testing", "call", faults.echo, (1,), {})[0] == 1  # it has its own warden
    worker = LocalWorker(OnnxRuntime(), model, Settings(threads=1), limits=LIMITS)
    assert worker.load_s > 0
    worker.close()
    child.end()


def test_a_variable_that_libraries_read_when_loaded_gets_its_own_template(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = LocalChild(LIMITS)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    second = LocalChild(LIMITS)
    assert parent_of_warden(first) != parent_of_warden(second)
    monkeypatch.setenv("FITWRIGHT_TEST", "read when needed")
    third = LocalChild(LIMITS)
    assert parent_of_warden(second) == parent_of_warden(third)
    for child in (first, second, third):
        child.end()


def test_a_child_works_in_the_folder_of_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LocalExecutor().call(faults.echo, LIMITS, 1)
    monkeypatch.chdir(tmp_path)
    assert LocalExecutor().call(os.getcwd, LIMITS) == str(tmp_path)


def test_a_child_finds_what_the_import_path_of_now_offers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LocalExecutor().call(faults.echo, LIMITS, 1)
    (tmp_path / "found_later.py").write_text("def answer():\n    return 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    import found_later  # type: ignore[import-not-found]

    assert LocalExecutor().call(found_later.answer, LIMITS) == 42


def test_a_copy_reports_the_memory_and_load_time_of_one_that_imports_itself(model: Path) -> None:
    peaks, loads_s = [], []
    for runtime in (None, OnnxRuntime()):
        child = LocalChild(LIMITS, runtime=runtime)
        loaded, _ = child.ask("loading", "load", OnnxRuntime(), model, Settings(threads=1))
        loads_s.append(loaded[0])
        peaks.append(child.ask("watching", "peak_memory_bytes")[0])
        child.end()
    # garbage of the import differs by a few MiB; without the libraries it would be a third less
    assert peaks[1] == pytest.approx(peaks[0], rel=0.15)
    # an import takes 30 ms at least, a load alone 1 to 10; the two imports never take the same
    assert loads_s[1] > 0.02

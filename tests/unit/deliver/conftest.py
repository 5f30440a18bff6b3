"""A run folder as a fit of a small digit reader leaves it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from digit_reader import contract, memory_plan, need, plan, selection, summary
from digit_reader_trials import adapted, front_record, ledger, missed_verdict, trials, verdict
from fitwright.records.environment import Environment
from fitwright.records.need import Analysis
from fitwright.records.plan import Plan
from fitwright.records.run import RunFolder
from fitwright.records.verdict import Verdict


def environment() -> Environment:
    return Environment(
        fitwright="0.1.0",
        python="3.12.8",
        os="Linux 6.12 x86_64",
        cpu="A CPU with 2 cores",
        num_cores=2,
        memory_bytes=24 << 30,
        packages={
            "flatbuffers": "25.12.19",
            "numpy": "2.4.6",
            "onnx": "1.23.2",
            "onnxruntime": "1.31.1",
            "openvino": "2026.4.1",
            "packaging": "26.3",
            "protobuf": "7.36.2",
        },
        command="fitwright fit examples/digits/contract.yaml --time 2m",
        started="2026-11-22T09:30:00+00:00",
    )


def finished_run(folder: Path, hostile: str = "") -> RunFolder:
    """A run that met its contract; `hostile` replaces names that a model brings along."""
    run = RunFolder(folder)
    run.write(contract().model_copy(update={"model": hostile} if hostile else {}))
    run.write(environment())
    run.write(Analysis(need=need(), summary=summary(hostile)))
    run.write(selection())
    run.write(plan())
    run.write(adapted())
    for trial in trials():
        run.record_trial(trial)
    run.write(ledger())
    run.write(verdict())
    run.write(front_record())
    return run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return finished_run(tmp_path / "digits-1")


@pytest.fixture
def run_with(tmp_path: Path) -> Callable[[str], RunFolder]:
    return lambda hostile: finished_run(tmp_path / "digits-1", hostile)


@pytest.fixture
def many_buffers() -> Plan:
    return plan().model_copy(update={"memory": memory_plan(1500)})


@pytest.fixture
def missed() -> Verdict:
    return missed_verdict()

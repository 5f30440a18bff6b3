"""The closed loop as a user runs it: whole processes, a real model, a run on disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from fitwright.records.environment import Environment
from fitwright.records.hold import held
from fitwright.records.run import RunFolder
from fitwright.records.trial import Trial
from fitwright.records.verdict import Verdict
from fitwright.testing.models import two_layers, write_masked_encoder, write_two_layers
from fitwright.tune.proposal import RUNOFF

pytestmark = pytest.mark.slow

BACKENDS_AT_MOST = 2


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The machine's peaks are measured once for all tests of this file."""
    cache = tmp_path_factory.mktemp("cache")
    return {**os.environ, "FITWRIGHT_CACHE_DIR": str(cache)}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a small model, data with labels that it predicts, and no contract yet."""
    write_two_layers(tmp_path / "m.onnx")
    return tmp_path


def contract(folder: Path, **limits: str) -> Path:
    lines = [f"  {name}: {value}" for name, value in limits.items()]
    path = folder / "contract.yaml"
    path.write_text("\n".join(["model: m.onnx", "limits:", *lines, ""]))
    return path


def fitwright(
    *arguments: str, cwd: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fitwright", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


def test_a_model_alone_ends_in_a_verified_artefact_that_runs_without_fitwright(
    project: Path, environment: dict[str, str]
) -> None:
    done = fitwright(
        "fit", "m.onnx", "--time", "12s", "--json", cwd=project, environment=environment
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["status"] == "met"
    (agreement,) = (v for v in answer["verdict"]["limits"] if v["limit"]["name"] == "agreement")
    assert agreement["figure"]["value"] <= 0.05
    run = RunFolder(project / answer["run"])
    assert run.report.stat().st_size < 2e6
    full = [t for t in run.trials() if t.stage == "full"]
    assert len(full) == 2
    tested = subprocess.run(
        [sys.executable, run.bundle / "run.py", "--self-test"], capture_output=True, text=True
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr

    packed = fitwright(
        "package", answer["run"], "--to", "packed", cwd=project, environment=environment
    )
    assert packed.returncode == 0
    assert (project / "packed" / "manifest.json").is_file()
    told = fitwright("report", answer["run"], cwd=project, environment=environment)
    assert told.returncode == 0
    assert "Verdict" in told.stdout

    again = ("bench", answer["run"], "--time", "4s", "--json")
    with held(run.path):
        refused = fitwright(*again, cwd=project, environment=environment)
    assert refused.returncode == 2
    assert json.loads(refused.stdout)["error"]["code"] == "FW121"
    benched = fitwright(*again, cwd=project, environment=environment)
    assert benched.returncode == 0, benched.stderr
    trials = [Trial.model_validate(t) for t in json.loads(benched.stdout)["trials"]]
    assert {t.candidate.key for t in trials} == {t.candidate.key for t in full}
    assert all(t.stage == "full" and t.latencies_s for t in trials)


def test_where_all_queries_are_there_one_run_takes_several(
    project: Path, environment: dict[str, str]
) -> None:
    lines = ["model: m.onnx", "traffic: {scenario: offline}", "budget: {time: 40 s}"]
    (project / "contract.yaml").write_text("\n".join([*lines, "limits: {throughput: 1e9/s}", ""]))
    done = fitwright("fit", "contract.yaml", "--json", cwd=project, environment=environment)
    assert done.returncode == 1, done.stderr  # nothing reaches that rate
    run = RunFolder(project / json.loads(done.stdout)["run"])
    raced = [t for t in run.trials() if t.candidate.settings.batch > 1 and t.comparison]
    # of a model so small a run costs far more than the queries in it
    assert max(t.comparison.ratio for t in raced if t.comparison) > 2
    seen = [f.value for t in raced if (f := t.figures.get("relative_l2")) is not None]
    assert seen and all(value is not None and value <= 0.05 for value in seen)
    tested = subprocess.run(
        [sys.executable, run.bundle / "run.py", "--self-test"], capture_output=True, text=True
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_a_contract_out_of_reach_names_what_blocks_and_the_cheapest_relaxation(
    project: Path, environment: dict[str, str]
) -> None:
    contract(project, size="16 B")
    done = fitwright(
        "fit", "contract.yaml", "--time", "12s", "--json", cwd=project, environment=environment
    )
    assert done.returncode == 1, done.stderr
    verdict = Verdict.model_validate(json.loads(done.stdout)["verdict"])
    assert verdict.status == "missed"
    assert verdict.blocking == "size"
    assert [r.limit for r in verdict.relaxations] == ["size"]
    assert verdict.relaxations[0].bound > 16


def test_a_contract_the_original_keeps_stops_before_anything_is_adapted(
    project: Path, environment: dict[str, str]
) -> None:
    contract(project, latency_p50="1 s", size="10 MiB")
    done = fitwright(
        "fit", "contract.yaml", "--time", "150s", "--json", cwd=project, environment=environment
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["verdict"]["stop"] == "met"
    short = [t for t in RunFolder(project / answer["run"]).trials() if t.stage == "short"]
    assert 1 <= len(short) <= BACKENDS_AT_MOST


def test_labels_are_judged_with_the_metric(project: Path, environment: dict[str, str]) -> None:
    x = np.random.default_rng(0).normal(size=(60, 16)).astype(np.float32)
    np.savez(project / "data.npz", x=x, labels=two_layers(x)["y"].astype(np.float32))
    text = "model: m.onnx\ndata: {source: data.npz, metric: mse}\nlimits: {size: 10 MiB}\n"
    (project / "contract.yaml").write_text(text)
    done = fitwright(
        "fit", "contract.yaml", "--time", "12s", "--json", cwd=project, environment=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    (full, *_) = (t for t in RunFolder(project / answer["run"]).trials() if t.stage == "full")
    # the labels are the original's own answers in numpy: float32 rounding only
    assert full.figures["accuracy"].value == pytest.approx(0.0, abs=1e-8)


def test_padded_queries_are_computed_at_several_lengths(
    project: Path, environment: dict[str, str]
) -> None:
    write_masked_encoder(project / "m.onnx")
    lengths = np.tile([5, 6, 9, 128], 20)
    mask = (np.arange(128)[None] < lengths[:, None]).astype(np.int64)
    ids = np.random.default_rng(0).integers(1, 50, mask.shape) * mask
    np.savez(project / "data.npz", ids=ids, mask=mask)
    (project / "contract.yaml").write_text(
        "model: m.onnx\ndata: {source: data.npz}\npadding_mask: mask\n"
    )
    done = fitwright(
        "fit", "contract.yaml", "--time", "90s", "--json", cwd=project, environment=environment
    )
    assert done.returncode == 0, done.stderr
    run = RunFolder(project / json.loads(done.stdout)["run"])
    joined = [t for t in run.trials() if "buckets/8/16/128" in t.candidate.title]
    measured = [t for t in joined if t.figures]
    assert measured, [t.reason for t in joined]
    assert all((t.figures["relative_l2"].value or 0) <= 0.05 for t in measured)
    tested = subprocess.run(
        [sys.executable, run.bundle / "run.py", "--self-test"], capture_output=True, text=True
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


def started(project: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "fitwright", "fit", "m.onnx", "--time", "120s"]
    return subprocess.Popen(
        command,
        cwd=project,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for_trials(run: RunFolder, process: subprocess.Popen[bytes], *, number: int) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end and process.poll() is None:
        if run.bundle.is_dir() and len(run.trials()) >= number:
            return
        time.sleep(0.05)
    raise AssertionError("the run made no progress")


@pytest.fixture
def killed(project: Path, environment: dict[str, str]) -> Iterator[RunFolder]:
    """A run whose driver was killed with SIGKILL after two trials."""
    run = RunFolder(project / "runs" / "m-1")
    process = started(project, environment)
    try:
        wait_for_trials(run, process, number=2)
        children = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.kill()
        process.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == [], "children outlived their driver"
    yield run


def gone_on(run: RunFolder, environment: dict[str, str], *, time: str) -> tuple[Trial, ...]:
    """Every trial of a run that was resumed for so long."""
    done = fitwright(
        "tune", str(run.path), "--time", time, "--json", cwd=run.path, environment=environment
    )
    assert done.returncode == 0, done.stderr
    return run.trials()


def half_made(run: RunFolder) -> list[Path]:
    """What a killed driver left among the variants; goes when the next one is made."""
    return list(run.variants.glob(".making-*"))


def test_a_killed_run_loses_no_trial_and_goes_on(
    killed: RunFolder, environment: dict[str, str]
) -> None:
    before = killed.trials()
    after = gone_on(killed, environment, time="10s")
    for longer in ("60s", "240s"):  # where the machine is too slow to make a variant in less
        if half_made(killed):
            after = gone_on(killed, environment, time=longer)
    assert after[: len(before)] == before
    assert [t.number for t in after] == list(range(1, len(after) + 1))
    # a run-off races a candidate once more on purpose
    short = [t.candidate.key for t in after if t.stage == "short" and t.round != RUNOFF]
    assert len(short) == len(set(short)), "a finished trial was repeated"
    assert half_made(killed) == []
    assert killed.read(Environment).command.startswith("fitwright fit "), "what repeats the run"


def test_a_run_is_not_resumed_on_another_model(
    killed: RunFolder, environment: dict[str, str]
) -> None:
    write_two_layers(killed.path.parents[1] / "m.onnx", batch=4)
    done = fitwright("tune", str(killed.path), cwd=killed.path, environment=environment)
    assert done.returncode == 2
    assert "error[FW104]" in done.stderr


def test_a_run_is_not_resumed_on_other_data(project: Path, environment: dict[str, str]) -> None:
    x = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32)
    np.savez(project / "data.npz", x=x)
    text = "model: m.onnx\ndata: {source: data.npz}\nlimits: {size: 10 MiB}\n"
    (project / "contract.yaml").write_text(text)
    done = fitwright(
        "fit", "contract.yaml", "--time", "12s", "--json", cwd=project, environment=environment
    )
    assert done.returncode == 0, done.stderr
    np.savez(project / "data.npz", x=x + 1)
    run = json.loads(done.stdout)["run"]
    again = fitwright("tune", run, cwd=project, environment=environment)
    assert again.returncode == 2
    assert "the data has changed" in " ".join(again.stderr.split())


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_the_best_artefact_and_says_how_to_go_on(
    project: Path, environment: dict[str, str], sent: signal.Signals
) -> None:
    run = RunFolder(project / "runs" / "m-1")
    command = [sys.executable, "-m", "fitwright", "fit", "m.onnx", "--time", "120s"]
    process = subprocess.Popen(
        command, cwd=project, env=environment, stderr=subprocess.PIPE, text=True
    )
    wait_for_trials(run, process, number=2)  # type: ignore[arg-type]
    process.send_signal(sent)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "fitwright tune" in told
    assert "Traceback" not in told
    assert run.has(Verdict)
    assert (run.bundle / "manifest.json").is_file()

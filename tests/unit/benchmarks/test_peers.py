"""The benchmark against peers compares fairly and says what it found."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

ROOT = Path(__file__).parents[3]
BENCHMARKS = ROOT / "benchmarks"
DIGITS = ROOT / "examples" / "digits" / "digits.onnx"


def module(name: str) -> Any:
    """A script of the benchmarks folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded  # dataclasses look their module up
    spec.loader.exec_module(loaded)
    return loaded


compare = module("peer_compare")
inputs = module("peer_inputs")
tables = module("peer_tables")


def row(name: str, *, speed: float = 1.0, relative_l2: float = 0.0) -> Any:
    return compare.Row(
        name=name,
        latency_s=0.01,
        latency_low_s=0.009,
        latency_high_s=0.011,
        speed=speed,
        speed_low=speed * 0.99,
        speed_high=speed * 1.01,
        relative_l2=relative_l2,
        size_bytes=1 << 20,
        made_s=0.0,
        facts={},
    )


class RecordingWorker:
    """Notes when it ran; its first run of a block is slow, as after another one's block."""

    def __init__(self, name: str, *, latency_s: float, order: list[str]) -> None:
        self._name, self._latency_s, self._order = name, latency_s, order

    def close(self) -> None:
        """Nothing to end."""

    def time_block(self, *, seconds: float, min_runs: int = 1) -> Sequence[float]:
        self._order.append(self._name)
        return [1.0, *[self._latency_s] * (min_runs - 1)]


def test_a_faster_peer_that_agrees_less_is_no_rival() -> None:
    artefact = row("ours", relative_l2=0.02)
    careless = row("careless", speed=0.5, relative_l2=0.03)
    careful = row("careful", speed=1.2, relative_l2=0.02)
    found = compare.finding(artefact, [careless, careful])
    assert (found.rival, found.outcome) == ("careful", "faster")


def test_the_fastest_of_several_rivals_counts() -> None:
    artefact = row("ours", relative_l2=0.02)
    found = compare.finding(artefact, [row("slow", speed=3.0), row("quick", speed=0.9)])
    assert (found.rival, found.outcome) == ("quick", "slower")


def test_without_a_rival_the_finding_says_so() -> None:
    found = compare.finding(row("ours"), [row("careless", relative_l2=0.1)])
    assert (found.rival, found.outcome) == ("none", "no peer agrees as well")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1.01, 1.2, "faster"),
        (0.985, 1.02, "as fast"),
        (0.9, 1.1, "undecided"),
        (0.9, 0.95, "slower"),
        (0.95, 0.99, "undecided"),
    ],
)
def test_the_interval_decides_the_outcome(low: float, high: float, expected: str) -> None:
    assert compare.outcome(low, high) == expected


def test_every_round_runs_each_once_in_changing_order_and_first_runs_do_not_count() -> None:
    order: list[str] = []
    workers = {
        "a": RecordingWorker("a", latency_s=0.1, order=order),
        "b": RecordingWorker("b", latency_s=0.2, order=order),
    }
    times = compare.interleaved(workers, rounds=20)
    assert times == {"a": [0.1] * 20, "b": [0.2] * 20}
    rounds = {(first, second) for first, second in zip(order[::2], order[1::2], strict=True)}
    # the order is seeded: of 23 rounds some begin with each
    assert rounds == {("a", "b"), ("b", "a")}


def test_a_duel_opens_each_of_the_two_first_as_often(monkeypatch: pytest.MonkeyPatch) -> None:
    speeds = {"artefact": 0.1, "peer": 0.12}
    order: list[str] = []

    def opened(contestant: compare.Contestant, _: object) -> RecordingWorker:
        order.append(contestant.name)
        return RecordingWorker(contestant.name, latency_s=speeds[contestant.name], order=[])

    def contestant(name: str) -> compare.Contestant:
        return compare.Contestant(
            name=name,
            what="",
            backend="onnxruntime",
            file=Path(name),
            settings=compare.Settings(),
            made_s=0.0,
            size_bytes=1,
        )

    monkeypatch.setattr(compare, "opened", opened)
    found = compare.duel(contestant("artefact"), contestant("peer"), held_out={}, rounds=40)
    assert order == ["artefact", "peer", "peer", "artefact"] * 2
    assert (found.outcome, found.rival) == ("faster", "peer")
    assert found.speed == pytest.approx(1.2)


def test_the_ratio_is_paired_round_by_round() -> None:
    contestant = compare.Contestant(
        name="peer",
        what="",
        backend="onnxruntime",
        file=DIGITS,
        settings=None,
        made_s=0.0,
        size_bytes=0,
    )
    # the machine slows down from round to round; the ratio does not change
    artefact_times = [0.01 * (1 + i) for i in range(12)]
    times = [2 * t for t in artefact_times]
    found = compare.row(
        contestant, times=times, artefact_times=artefact_times, relative_l2=0.0, facts={}
    )
    # exp(log 2) differs from 2 in the last digit
    assert found.speed == pytest.approx(2, rel=1e-12)
    assert found.speed_low == pytest.approx(2, rel=1e-12)
    assert found.speed_high == pytest.approx(2, rel=1e-12)
    assert found.latency_low_s < found.latency_s < found.latency_high_s


def test_distance_is_relative_to_the_original_over_all_outputs() -> None:
    reference = {"y": np.array([3.0, 0.0]), "z": np.array([0.0, 4.0])}
    outputs = {"y": np.array([3.0, 0.0]), "z": np.array([0.0, 3.5])}
    # |difference| = 0.5 and |reference| = 5, both exact in binary
    assert compare.distance(outputs, reference) == 0.1


@pytest.mark.parametrize("name", sorted(inputs.INPUTS))
def test_held_out_queries_are_not_those_of_calibration(name: str, tmp_path: Path) -> None:
    with np.load(inputs.calibration_file(name, tmp_path)) as calibration:
        held_out = inputs.held_out(name)
        assert set(calibration.files) == set(held_out)
        first = calibration.files[0]
        seen = {sample.tobytes() for sample in calibration[first]}
        assert len(seen) == inputs.NUM_CALIBRATION
        assert not any(query[0].tobytes() in seen for query in held_out[first])


def test_only_the_marked_block_of_the_page_changes(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text((ROOT / "docs" / "benchmarks.md").read_text())
    before = page.read_text()
    tables.write_block(page, "first")
    tables.write_block(page, "second")
    after = page.read_text()
    assert "second" in after and "first" not in after.split(tables.BEGIN)[1].split(tables.END)[0]
    assert after.split(tables.BEGIN)[0] == before.split(tables.BEGIN)[0]
    assert after.split(tables.END)[1] == before.split(tables.END)[1]


def test_the_document_names_machine_versions_contestants_and_finding() -> None:
    rows = [row("Fitwright"), replace(row("Peer", speed=1.5), made_s=12.0)]
    result = {
        "model": "resnet50",
        "candidate": "bf16 on openvino",
        "rounds": 40,
        "budget": "5 min",
        "rows": [r.to_json() for r in rows],
        "finding": {
            "rival": "Peer",
            "outcome": "faster",
            "speed": 1.5,
            "speed_low": 1.4,
            "speed_high": 1.6,
        },
    }
    environment = {
        "cpu": "A CPU",
        "num_cores": 2,
        "memory_bytes": 8 << 30,
        "python": "3.11",
        "packages": {"onnxruntime": "1.31", "rich": "14"},
        "started": "2026-01-02T03:04:05",
    }
    text = tables.document({"environment": environment, "results": [result]})
    for expected in (
        "A CPU, 2 cores, 8 GiB; Python 3.11, onnxruntime 1.31; 2026-01-02.",
        "| Peer | 10 ms (9 ms to 11 ms) | 1.500x (1.485 to 1.515) | 0 | 1 MiB | 12 s |",
        "Peer: **faster** (1.500x, 95 % interval 1.400 to 1.600, 40 rounds).",
    ):
        assert expected in text


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["ONNX Runtime, static int8", "OpenVINO, NNCF int8"])
def test_peers_quantise_by_their_own_means(tool: str, tmp_path: Path) -> None:
    pytest.importorskip("nncf" if "NNCF" in tool else "onnxruntime")
    calibration = tmp_path / "calibration.npz"
    images = np.random.default_rng(0).random((16, 1, 8, 8), dtype=np.float32)
    np.savez(calibration, image=images)
    script = str(BENCHMARKS / "peer_builds.py")
    done = subprocess.run(
        [sys.executable, script, tool, str(DIGITS), str(calibration), str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    made = Path(answer["file"])
    weights = made.with_suffix(".bin") if made.suffix == ".xml" else made
    # float32 weights take 898 kB and int8 a quarter; the graph adds a few kB
    assert 224_458 < weights.stat().st_size < 300_000
    if answer["backend"] == "onnxruntime":
        session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
        assert session.run(None, {"image": images[:1]})[0].shape == (1, 10)

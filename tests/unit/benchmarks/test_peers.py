"""The benchmark against peers compares fairly and says what it found."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import types
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


inputs = module("peer_inputs")
external = module("peer_external")
serve = module("peer_serve")
builds = module("peer_builds")
compare = module("peer_compare")
contestants = module("peer_contestants")
tables = module("peer_tables")
pages = module("pages")
peers = module("peers")


def row(
    name: str, *, speed: float = 1.0, relative_l2: float = 0.0, metric: float | None = None
) -> Any:
    return compare.Row(
        name=name,
        given="onnx",
        metric=metric,
        latency_s=0.01,
        latency_low_s=0.009,
        latency_high_s=0.011,
        speed=speed,
        speed_low=speed * 0.99,
        speed_high=speed * 1.01,
        relative_l2=relative_l2,
        size_bytes=1 << 20,
        made_s=0.0,
        rounds=40,
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


def contestant(name: str) -> Any:
    return compare.Contestant(
        name=name,
        what="",
        given="onnx",
        runs=compare.Child(backend="onnxruntime", file=Path(name), settings=compare.Settings()),
        made_s=0.0,
        size_bytes=1,
    )


def found(artefact: Any, rivals: list[Any], *, original_metric: float | None = None) -> Any:
    original = row("original", speed=9.0, metric=original_metric)
    return compare.finding(artefact, rivals, original=original)


def test_a_faster_peer_that_agrees_less_is_no_rival() -> None:
    careless = row("careless", speed=0.5, relative_l2=0.06)
    careful = row("careful", speed=1.2, relative_l2=0.02)
    answer = found(row("ours", relative_l2=0.02), [careless, careful])
    assert (answer.rival, answer.outcome) == ("careful", "faster")


def test_a_faster_peer_within_the_same_agreement_is_a_rival_though_it_agrees_less() -> None:
    answer = found(row("ours", relative_l2=0.01), [row("fast", speed=0.5, relative_l2=0.049)])
    assert (answer.rival, answer.outcome) == ("fast", "slower")


def test_who_agrees_as_little_as_the_artefact_is_a_rival() -> None:
    answer = found(row("ours", relative_l2=0.2), [row("fast", speed=0.5, relative_l2=0.2)])
    assert (answer.rival, answer.outcome) == ("fast", "slower")


def test_trained_models_are_judged_by_their_task_and_not_by_distance() -> None:
    artefact = row("ours", relative_l2=0.01, metric=0.97)
    far = row("far", speed=0.9, relative_l2=0.3, metric=0.965)
    wrong = row("wrong", speed=0.5, relative_l2=0.01, metric=0.95)
    answer = found(artefact, [far, wrong], original_metric=0.97)
    assert (answer.rival, answer.outcome) == ("far", "slower")


def test_the_fastest_of_several_rivals_counts() -> None:
    artefact = row("ours", relative_l2=0.02)
    answer = found(artefact, [row("slow", speed=3.0), row("quick", speed=0.9)])
    assert (answer.rival, answer.outcome) == ("quick", "slower")


def test_without_a_rival_the_finding_says_so() -> None:
    answer = found(row("ours"), [row("careless", relative_l2=0.1)])
    assert (answer.rival, answer.outcome) == ("none", "no peer agrees as well")


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

    monkeypatch.setattr(compare, "opened", opened)
    unseen = inputs.HeldOut(inputs={}, labels=None)
    answer = compare.duel(contestant("artefact"), contestant("peer"), held_out=unseen, rounds=40)
    assert order == ["artefact", "peer", "peer", "artefact"] * 2
    assert (answer.outcome, answer.rival, answer.rounds) == ("faster", "peer", 40)
    assert answer.speed == pytest.approx(1.2)


def test_the_ratio_is_paired_round_by_round() -> None:
    # the machine slows down from round to round; the ratio does not change
    artefact_times = [0.01 * (1 + i) for i in range(12)]
    times = [2 * t for t in artefact_times]
    answer = compare.row(
        contestant("peer"),
        times=times,
        artefact_times=artefact_times,
        relative_l2=0.0,
        metric=None,
        facts={},
    )
    # exp(log 2) differs from 2 in the last digit
    assert answer.speed == pytest.approx(2, rel=1e-12)
    assert answer.speed_low == pytest.approx(2, rel=1e-12)
    assert answer.speed_high == pytest.approx(2, rel=1e-12)
    assert answer.latency_low_s < answer.latency_s < answer.latency_high_s


def test_distance_is_relative_to_the_original_over_all_outputs() -> None:
    reference = {"y": np.array([3.0, 0.0]), "z": np.array([0.0, 4.0])}
    outputs = {"y": np.array([3.0, 0.0]), "z": np.array([0.0, 3.5])}
    # |difference| = 0.5 and |reference| = 5, both exact in binary
    assert compare.distance(outputs, reference) == 0.1


@pytest.mark.parametrize("name", sorted(inputs.INPUTS))
@pytest.mark.parametrize("batch", inputs.BATCHES)
def test_held_out_queries_are_not_those_of_calibration(
    name: str, batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "NUM_CALIBRATION", 16)  # drawing 64 images takes a while
    monkeypatch.setattr(inputs, "NUM_HELD_OUT", 2)
    calibration = inputs.calibration(name, tmp_path, batch=batch)
    queries = inputs.held_out(name, tmp_path, batch=batch)
    assert set(calibration) == set(queries.inputs) and queries.labels is None
    first = next(iter(calibration))
    assert queries.inputs[first].shape == (2, batch, *calibration[first].shape[1:])
    seen = {sample.tobytes() for sample in calibration[first]}
    assert len(seen) == 16
    unseen = queries.inputs[first].reshape(-1, *calibration[first].shape[1:])
    assert not any(sample.tobytes() in seen for sample in unseen)


def test_trained_models_get_whole_batches_and_their_labels(tmp_path: Path) -> None:
    samples = np.arange(45.0, dtype=np.float32).reshape(15, 3)
    for path in (inputs.samples_path, inputs.held_out_path):
        np.savez(path("breast-cancer", tmp_path), features=samples, labels=np.arange(15))
    calibration = inputs.calibration("breast-cancer", tmp_path, batch=8)
    queries = inputs.held_out("breast-cancer", tmp_path, batch=8)
    assert calibration["features"].shape == (8, 3) and calibration["labels"].shape == (8,)
    assert set(queries.inputs) == {"features"} and queries.inputs["features"].shape == (1, 8, 3)
    assert queries.labels.tolist() == [list(range(8))]


@pytest.mark.parametrize("side", [128, 224])
def test_images_differ_from_each_other_more_than_pixels_of_plain_noise_would(side: int) -> None:
    (images,) = inputs.images(4, np.random.default_rng(0), side=side).values()
    assert images.shape == (4, 3, side, side) and images.dtype == np.float32
    # the mean of plain noise over so many pixels differs by a hundredth of this
    means = images.mean(axis=(2, 3))
    assert means.std(axis=0).min() > 0.05


def test_accuracy_is_over_all_samples_of_all_queries() -> None:
    logits = np.zeros((2, 8, 3))
    logits[..., 1] = 1
    labels = np.ones((2, 8), np.int64)
    labels[0, :4] = 2
    assert compare.metric({"logits": logits}, labels) == 0.75
    assert compare.metric({"logits": logits}, None) is None


def test_only_the_marked_block_of_the_page_changes(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text((ROOT / "docs" / "benchmarks.md").read_text())
    before = page.read_text()
    pages.write_block("peers", "first", page=page)
    pages.write_block("peers", "second", page=page)
    after, begin, end = page.read_text(), "<!-- peers:begin -->", "<!-- peers:end -->"
    assert after.split(begin)[1].split(end)[0] == "\nsecond\n"
    assert after.split(begin)[0] == before.split(begin)[0]
    assert after.split(end)[1] == before.split(end)[1]


def test_a_block_without_its_marks_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("nothing marked")
    with pytest.raises(SystemExit, match="peers-elsewhere:begin"):
        pages.write_block("peers-elsewhere", "text", page=page)
    assert page.read_text() == "nothing marked"


def finding_of(rival: str, *, outcome: str = "faster", speed: float = 1.5) -> dict[str, Any]:
    return {
        "rival": rival,
        "outcome": outcome,
        "speed": speed,
        "speed_low": speed - 0.1,
        "speed_high": speed + 0.1,
        "rounds": 40,
    }


def case_result(**changes: Any) -> dict[str, Any]:
    rows = [
        row("Fitwright"),
        replace(row("Peer", speed=1.5), made_s=12.0),
        replace(row("torch.compile", speed=1.1), given="torch"),
    ]
    environment = {
        "cpu": "A CPU",
        "num_cores": 2,
        "memory_bytes": 8 << 30,
        "python": "3.11",
        "packages": {"onnxruntime": "1.31", "rich": "14", "olive-ai": "0.13"},
        "started": "2026-01-02T03:04:05",
    }
    return {
        "model": "vit-s",
        "batch": 8,
        "metric": None,
        "transformer": True,
        "candidate": "bf16 on openvino",
        "rounds": 40,
        "budget": "5 min",
        "rows": [r.to_json() for r in rows],
        "not_run": [],
        "findings": {
            "all": finding_of("torch.compile", outcome="as fast", speed=1.1),
            "onnx": finding_of("Peer"),
        },
        "environment": environment,
    } | changes


def test_the_document_names_machine_versions_contestants_and_findings() -> None:
    text = tables.document([case_result()])
    for expected in (
        "A CPU, 2 cores, 8 GiB; Python 3.11, onnxruntime 1.31, olive-ai 0.13; 2026-01-02.",
        "| vit-s | 8 | 10 ms | 1.100x (1.000 to 1.200) torch.compile (from torch) | **as fast** | "
        "1.500x (1.400 to 1.600) Peer | **faster**; 1.2x reached |",
        "### vit-s, batch 8",
        "| Peer | 10 ms (9 ms to 11 ms) | 1.500x (1.485 to 1.515) | 0 | 1 MiB | 12 s |",
        "| torch.compile (from torch) |",
        "Peer: **faster**; 1.2x reached (1.500x, 95 % interval 1.400 to 1.600, 40 rounds).",
        "Against the best of every peer, 1 cases: 1 as fast.",
    ):
        assert expected in text
    assert "Not run" not in text


@pytest.mark.parametrize(
    ("speed", "expected"), [(1.31, "reached"), (1.25, "undecided"), (1.05, "missed")]
)
def test_the_wanted_factor_is_judged_by_the_whole_interval(speed: float, expected: str) -> None:
    assert tables.reached(finding_of("Peer", speed=speed)) == f"1.2x {expected}"


def test_peers_that_did_not_run_are_named_with_their_reason() -> None:
    missing = [{"name": "Olive, TPE search", "reason": "no environment with Olive"}]
    text = tables.document([case_result(not_run=missing)])
    assert "Not run: Olive, TPE search (no environment with Olive)." in text


def test_a_reason_names_files_and_no_folders_of_the_machine() -> None:
    missing = [{"name": "olive", "reason": "Load model from /home/me/cases/a.onnx failed:parsing"}]
    text = tables.document([case_result(not_run=missing)])
    assert "Load model from a.onnx failed:parsing" in text


def test_the_metric_of_a_trained_model_stands_beside_the_distance() -> None:
    rows = [row("Fitwright", relative_l2=0.02, metric=0.975).to_json()]
    nobody = finding_of("none", outcome="no peer agrees as well")
    text = tables.document(
        [
            case_result(
                metric="accuracy",
                transformer=False,
                rows=rows,
                findings={"all": nobody, "onnx": nobody},
            )
        ]
    )
    assert "| accuracy; relative L2 |" in text and "| 0.9750; 0.02 |" in text


def test_every_model_of_the_issue_has_inputs_and_transformers_are_known() -> None:
    assert len(inputs.INPUTS) == 8 and len(inputs.TRAINED) == 3
    assert set(inputs.TRANSFORMERS) < set(inputs.NAMES)


@pytest.mark.parametrize("name", ["Olive, TPE search", "torch, eager bf16", "torch.compile"])
def test_a_peer_without_its_environment_is_listed_and_not_dropped(
    name: str, tmp_path: Path
) -> None:
    case = contestants.Case(name="unet", batch=1, models=tmp_path, folder=tmp_path)
    nowhere = contestants.Environments(torch=None, olive=None)
    answer = contestants.peer(name, case, environments=nowhere, limit_s=1)
    assert isinstance(answer, compare.NotRun)
    assert answer.name == name and "no environment" in answer.reason


def test_what_a_tool_made_is_kept_for_the_same_model_and_command_only(tmp_path: Path) -> None:
    case = contestants.Case(name="unet", batch=8, models=tmp_path, folder=tmp_path)
    case.model.write_bytes(b"first")
    case.calibration.write_bytes(b"samples")
    made: list[int] = []

    def make() -> dict[str, Any]:
        made.append(1)
        return {"seconds": len(made)}

    def seconds(*command: str) -> int:
        answer: dict[str, int] = contestants.kept(tmp_path / "tool", case, command, make)
        return answer["seconds"]

    assert (seconds("--limit", "60"), seconds("--limit", "60")) == (1, 1)
    assert seconds("--limit", "180") == 2
    case.model.write_bytes(b"second")
    assert seconds("--limit", "180") == 3


def test_the_size_of_a_model_is_that_of_its_files_and_no_others(tmp_path: Path) -> None:
    sizes = {"unet.onnx": 3, "unet.onnx.data": 20, "unet.pt": 100, "int8.xml": 1, "int8.bin": 7}
    for name, num in sizes.items():
        (tmp_path / name).write_bytes(bytes(num))
    assert contestants.size_bytes(tmp_path / "unet.onnx") == 23
    assert contestants.size_bytes(tmp_path / "int8.xml") == 8


def test_a_tool_that_fails_says_why_in_its_last_line() -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such operator')"]
    answer = contestants.told(command, name="Tool")
    assert answer == compare.NotRun(name="Tool", reason="no such operator")


def test_a_peer_that_does_not_open_is_left_out_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Answering(RecordingWorker):
        facts = types.MappingProxyType[str, str]({})

        def outputs(self) -> dict[str, np.ndarray[Any, Any]]:
            return {"y": np.ones(3)}

    def opened(chosen: Any, _: object) -> Any:
        if chosen.name == "broken":
            raise compare.PeerFailed("the process ended\nand more")
        return Answering(chosen.name, latency_s=0.1, order=[])

    monkeypatch.setattr(compare, "opened", opened)
    rows, not_run = compare.compare(
        [contestant("artefact"), contestant("original"), contestant("broken")],
        held_out=inputs.HeldOut(inputs={}, labels=None),
        reference="original",
        rounds=10,
    )
    assert [r.name for r in rows] == ["artefact", "original"]
    assert not_run == [compare.NotRun(name="broken", reason="the process ended")]


@pytest.mark.parametrize(("times_as_long", "rounds"), [(1.9, 20), (2.1, 12)])
def test_who_is_far_behind_leaves_after_the_first_rounds(
    times_as_long: float, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Answering(RecordingWorker):
        facts = types.MappingProxyType[str, str]({})

        def outputs(self) -> dict[str, np.ndarray[Any, Any]]:
            return {"y": np.ones(3)}

    latencies = {"artefact": 0.1, "original": 0.15, "behind": 0.1 * times_as_long}
    monkeypatch.setattr(
        compare, "opened", lambda c, _: Answering(c.name, latency_s=latencies[c.name], order=[])
    )
    rows, _ = compare.compare(
        [contestant(name) for name in latencies],
        held_out=inputs.HeldOut(inputs={}, labels=None),
        reference="original",
        rounds=20,
    )
    assert [r.rounds for r in rows] == [20, 20, rounds]
    assert compare.finding(rows[0], rows[2:], original=rows[1]).rounds == rounds


def test_the_document_says_who_left() -> None:
    rows = [row("Fitwright"), replace(row("torch.compile"), rounds=12), row("Peer")]
    text = tables.document([case_result(rows=[r.to_json() for r in rows])])
    assert "Far behind after 12 rounds, and left out of the others: torch.compile." in text
    assert "Far behind" not in tables.document([case_result()])


SERVER = """\
import os, sys
sys.path.insert(0, {folder!r})
from peer_serve import Model, pipe, serve

def load():
    print("a framework that prints")
    if sys.argv[1] == "fails":
        raise RuntimeError("no such model")
    return Model(
        prepare=lambda query: query["x"],
        run=lambda x: os._exit(3) if sys.argv[1] == "dies" else 2 * x,
        read=lambda y: {{"y": y}},
        facts={{"way": sys.argv[1]}},
    )

serve(load, pipe())
"""


def served(way: str, folder: Path) -> Any:
    script = folder / "server.py"
    script.write_text(SERVER.format(folder=str(BENCHMARKS)))
    command = (sys.executable, str(script), way)
    return external.ExternalWorker(command, folder=folder, environment={})


def test_a_process_of_another_environment_answers_like_a_worker(tmp_path: Path) -> None:
    worker = served("doubles", tmp_path)
    queries = np.arange(6.0).reshape(3, 2)
    worker.feed({"x": queries})
    assert worker.facts == {"way": "doubles"} and worker.load_s >= 0
    np.testing.assert_array_equal(worker.outputs()["y"], 2 * queries)
    latencies_s = worker.time_block(seconds=0.0, min_runs=7)
    assert len(latencies_s) == 7 and min(latencies_s) > 0
    worker.close()
    assert worker._process.returncode == 0
    assert [file.name for file in tmp_path.iterdir()] == ["server.py"]


def test_a_process_that_cannot_load_says_why(tmp_path: Path) -> None:
    with pytest.raises(external.PeerFailed, match="RuntimeError: no such model"):
        served("fails", tmp_path)


def test_a_process_that_dies_is_noticed_at_once(tmp_path: Path) -> None:
    worker = served("dies", tmp_path)
    worker.feed({"x": np.zeros((1, 2))})
    with pytest.raises(external.PeerFailed, match="the process ended"):
        worker.outputs()
    worker.close()
    assert worker._process.returncode == 3


def test_peers_get_whole_queries_of_the_models_batch(tmp_path: Path) -> None:
    np.savez(tmp_path / "samples.npz", x=np.arange(6).reshape(6, 1))
    queries = builds.queries(tmp_path / "samples.npz", batch=3)
    assert [q["x"].ravel().tolist() for q in queries] == [[0, 1, 2], [3, 4, 5]]


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


@pytest.mark.parametrize(
    ("speed", "interval", "is_wanted", "num_duels"),
    [
        (1.2, (1.19, 1.22), True, 1),
        (1.3, (1.18, 1.42), True, 1),
        (1.17, (1.16, 1.18), True, 1),
        (1.23, (1.22, 1.24), True, 1),
        (1.3, (1.28, 1.32), True, 0),
        (1.12, (1.11, 1.13), True, 0),
        (1.17, (1.16, 1.18), False, 0),
    ],
)
def test_a_wanted_factor_that_is_near_is_decided_in_a_duel_on_either_side(
    speed: float, interval: tuple[float, float], is_wanted: bool, num_duels: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    low, high = interval
    common = compare.Finding(
        rival="peer", outcome="faster", speed=speed, speed_low=low, speed_high=high, rounds=40
    )
    alone = replace(common, speed_low=1.21, speed_high=1.25, rounds=120)
    met: list[str] = []
    monkeypatch.setattr(peers, "duel", lambda _, rival, **__: met.append(rival.name) or alone)
    judged = {"all": common, "onnx": common}
    both = [contestant("artefact"), contestant("peer")]
    found = peers.settled(judged, both, unseen=None, is_wanted=is_wanted)
    assert met == ["peer"] * num_duels
    assert found["onnx"] == (alone if num_duels else common)


@pytest.mark.parametrize(
    ("speed", "outcome", "num_duels"),
    [(0.95, "slower", 1), (1.06, "faster", 1), (0.85, "slower", 0), (1.15, "faster", 0)],
)
def test_a_ratio_close_to_1_is_decided_in_a_duel_on_either_side(
    speed: float, outcome: str, num_duels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    low, high = speed - 0.02, speed + 0.02
    common = compare.Finding(
        rival="peer", outcome=outcome, speed=speed, speed_low=low, speed_high=high, rounds=40
    )
    met: list[str] = []
    monkeypatch.setattr(peers, "duel", lambda _, rival, **__: met.append(rival.name) or common)
    both = [contestant("artefact"), contestant("peer")]
    peers.settled({"all": common}, both, unseen=None, is_wanted=False)
    assert met == ["peer"] * num_duels

"""LoadGen and Fitwright's own scheduler say the same about the same artefact."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fitwright.backends.onnxruntime.runtime import OnnxRuntime
from fitwright.bench.block import latency_block_under, rate_block
from fitwright.bench.latency import percentile_figure
from fitwright.bench.load import ServerBlock, throughput_figure
from fitwright.executors.local import LocalExecutor
from fitwright.ports import ChildLimits, Worker
from fitwright.records.contract import Traffic
from fitwright.records.figure import Figure
from fitwright.records.plan import Settings

SCHEDULERS = ("own", "loadgen")
ROUNDS, BLOCK_S = 24, 0.25
SETS = 4
"""A stall of a shared machine can fall on one scheduler alone and part the intervals of one set of
rounds. A difference between the schedulers parts those of every set; a stall does not."""
CALLBACK_SHARE = 0.04
"""LoadGen calls Python back for every query and its answer, 0.05 to 0.15 ms of a query's 4 ms:
intervals may lie this far apart, in LoadGen's disfavour or ours, and no farther."""


def write_slow_model(path: Path) -> Path:
    """Matrix products that take about 4 ms on one core: callbacks of 0.05 ms are 1 % of it."""
    rng = np.random.default_rng(5)
    size, num = 512, 6
    nodes = [helper.make_node("MatMul", [f"h{i}", f"w{i}"], [f"h{i + 1}"]) for i in range(num)]
    weights = [
        numpy_helper.from_array(
            (rng.standard_normal((size, size)) / size**0.5).astype(np.float32), f"w{i}"
        )
        for i in range(num)
    ]
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "slow",
        [tensor("h0", TensorProto.FLOAT, [128, size])],
        [tensor(f"h{num}", TensorProto.FLOAT, [128, size])],
        weights,
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    pytest.importorskip("mlperf_loadgen")
    model = write_slow_model(tmp_path_factory.mktemp("slow") / "slow.onnx")
    worker = LocalExecutor().open(
        OnnxRuntime(), model, Settings(threads=1, streams=2), limits=ChildLimits()
    )
    worker.feed({"h0": np.random.default_rng(1).standard_normal((8, 128, 512), np.float32)})
    worker.time_block(seconds=0.5)
    yield worker
    worker.close()


def rounds(worker: Worker, blocks: dict[str, object]) -> dict[str, list[Sequence[float]]]:
    """Blocks of both schedulers in turn on the same worker: a drift falls on both."""
    found: dict[str, list[Sequence[float]]] = {name: [] for name in blocks}
    order = list(blocks)
    for _ in range(ROUNDS):
        for name in order:
            found[name].append(blocks[name](worker, seconds=BLOCK_S, min_runs=1))  # type: ignore[operator]
        order.reverse()
    return found


def overlap(one: Figure, other: Figure) -> bool:
    """Whether two intervals have a value in common, but for what the callbacks cost."""
    assert None not in (one.low, one.high, other.low, other.high)
    slack = 1 + CALLBACK_SHARE
    return one.low <= slack * other.high and other.low <= slack * one.high  # type: ignore[operator]


def agree(measure: Callable[[], dict[str, Figure]]) -> None:
    """Holds when one of the sets of rounds has both figures overlap, and shows all when none."""
    seen: list[dict[str, Figure]] = []
    while len(seen) < SETS:
        seen.append(measure())
        if overlap(*(seen[-1][s] for s in SCHEDULERS)):
            return
    pytest.fail(f"apart in each of {SETS} sets of rounds: {seen}")


def both(**stated: object) -> dict[str, Traffic]:
    return {s: Traffic(scheduler=s, **stated) for s in SCHEDULERS}  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize(
    "traffic",
    [
        both(scenario="single_stream"),
        both(scenario="multi_stream", streams=2),
        both(scenario="server", rate_per_s=100.0),
    ],
    ids=["single_stream", "multi_stream", "server"],
)
def test_both_schedulers_agree_on_latency(worker: Worker, traffic: dict[str, Traffic]) -> None:
    blocks = {
        name: ServerBlock(t, seed=3) if t.scenario == "server" else latency_block_under(t)
        for name, t in traffic.items()
    }
    agree(lambda: {n: percentile_figure(s, 50) for n, s in rounds(worker, dict(blocks)).items()})


@pytest.mark.slow
@pytest.mark.parametrize(
    "traffic",
    [
        both(scenario="single_stream"),
        both(scenario="multi_stream", streams=2),
        both(scenario="offline"),
        both(scenario="server", rate_per_s=100.0),
    ],
    ids=["single_stream", "multi_stream", "offline", "server"],
)
def test_both_schedulers_agree_on_throughput(worker: Worker, traffic: dict[str, Traffic]) -> None:
    blocks = {name: rate_block(t) for name, t in traffic.items()}
    agree(
        lambda: {
            name: throughput_figure([t for block in seen for t in block], traffic=traffic[name])
            for name, seen in rounds(worker, dict(blocks)).items()
        }
    )

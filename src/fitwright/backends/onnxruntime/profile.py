"""Takes ONNX Runtime models apart: time by operator, and int8 switched off by operator."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fitwright.backends.distances import queries_of, squares
from fitwright.backends.onnxruntime.int8 import prepare
from fitwright.backends.onnxruntime.keep import Quantised
from fitwright.backends.onnxruntime.runtime import PROVIDER, configured
from fitwright.backends.quiet import quiet
from fitwright.backends.served import served
from fitwright.graph.dependencies import Coverage, dependencies
from fitwright.ports import Array, Tensors
from fitwright.ports.probe import Subject
from fitwright.records.plan import Settings
from fitwright.records.sensitivity import OperatorTime, Profile

WARMUP = 3
_NAMELESS = "nameless node "
_TIMED = "_kernel_time"
# What the quantiser appends to the name of a tensor that it quantises.
_SUFFIXES = ("_QuantizeLinear_Input", "_QuantizeLinear_Output", "_DequantizeLinear_Output")
# What the optimiser appends to the name of a node that it puts in place of another.
_TOKEN = re.compile(r"(_token_\d+|_nchwc)+$")
_CONVERTING = frozenset(
    {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ReorderInput"}
    | {"ReorderOutput", "Cast"}
)


@dataclass(frozen=True)
class OnnxRuntimeProbe:
    """Reads ONNX Runtime's own trace."""

    def profile(
        self, subjects: Sequence[Subject], *, graph: Path, inputs: Tensors, runs: int
    ) -> tuple[Profile, ...]:
        """See `ports.probe.Probe.profile`."""
        coverage, queries = Coverage(dependencies(graph)), queries_of(inputs)
        with tempfile.TemporaryDirectory() as folder:
            benches = [
                _Bench(subject, Path(folder) / str(number), coverage)
                for number, subject in enumerate(subjects)
            ]
            for turn in range(WARMUP + runs):
                for bench in benches:
                    bench.run(queries[turn % len(queries)], counted=turn >= WARMUP)
            return tuple(bench.profile() for bench in benches)

    def quantised(self, model: Path, *, graph: Path) -> tuple[str, ...]:
        """See `ports.probe.Probe.quantised`."""
        with tempfile.TemporaryDirectory() as folder:
            return _opened(model, graph, Path(folder)).operators()

    def distances(
        self, model: Path, *, graph: Path, inputs: Tensors, alone: Sequence[frozenset[str]]
    ) -> Array:
        """See `ports.probe.Probe.distances`."""
        queries = queries_of(inputs)
        exact = _answers(graph, queries)
        found = []
        with tempfile.TemporaryDirectory() as folder:
            everything = frozenset(_opened(model, graph, Path(folder)).operators())
            for operators in alone:
                switched = Path(folder) / "switched.onnx"
                _switch(model, graph, switched, keep=everything - operators)
                found.append(squares(_answers(switched, queries), exact))
        return np.array(found)


def _opened(model: Path, graph: Path, folder: Path) -> Quantised:
    import onnx

    with quiet():
        prepared = onnx.load(prepare(graph, folder)[0])
    return Quantised(onnx.load(model), prepared, dependencies(graph))


def _switch(model: Path, graph: Path, out: Path, *, keep: frozenset[str]) -> None:
    import onnx

    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        quantised = _opened(model, graph, Path(folder))
    quantised.keep_in_float(keep)
    onnx.save(quantised.model, out)


def _answers(model: Path, queries: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
    onnxruntime, options = configured(Settings())
    session = onnxruntime.InferenceSession(str(model), options, providers=[PROVIDER])
    names = [output.name for output in session.get_outputs()]
    return [dict(zip(names, session.run(names, dict(q)), strict=True)) for q in queries]


class _Bench:
    """One session with its trace switched on, and what its nodes stand for."""

    def __init__(self, subject: Subject, folder: Path, coverage: Coverage) -> None:
        folder.mkdir()
        onnxruntime, options = configured(subject.settings)
        options.enable_profiling = True
        options.profile_file_prefix = str(folder / "trace")
        options.optimized_model_filepath = str(folder / "optimised.onnx")
        self._session = onnxruntime.InferenceSession(
            str(subject.model), options, providers=[PROVIDER]
        )
        self._executed = _Executed(folder / "optimised.onnx", coverage)
        self._whole_s: list[float] = []
        self._turns = 0

    def run(self, query: Mapping[str, Array], *, counted: bool) -> None:
        started = time.perf_counter()
        self._session.run(None, dict(query))
        elapsed = time.perf_counter() - started
        self._turns += 1
        if counted:
            self._whole_s.append(elapsed)

    def profile(self) -> Profile:
        """The last runs of each node; the first were warm-up."""
        seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
        for event in json.loads(Path(self._session.end_profiling()).read_text()):
            if event.get("cat") == "Node" and event["name"].endswith(_TIMED):
                name = event["name"].removesuffix(_TIMED)
                seconds[name, event["args"]["op_name"]].append(event["dur"] * 1e-6)
        runs = len(self._whole_s)
        known = {key: self._executed.name(*key) for key in seconds}
        times = tuple(
            OperatorTime(
                name=traced,
                kind=kind,
                operators=self._executed.operators(known[traced, kind]),
                serves=self._executed.serves(known[traced, kind]),
                seconds=tuple(each[-runs:]),
            )
            for (traced, kind), each in seconds.items()
            if len(each) == self._turns
        )
        return Profile(times=times, whole_s=tuple(self._whole_s))


class _Executed:
    """The graph as ONNX Runtime rewrote it: what its nodes stand for, and who reads them."""

    def __init__(self, optimised: Path, coverage: Coverage) -> None:
        import onnx

        graph = onnx.load(optimised, load_external_data=False).graph
        for position, node in enumerate(graph.node):
            node.name = node.name or f"{_NAMELESS}{position}"
        self._nameless: dict[str, list[str]] = defaultdict(list)
        for node in graph.node:
            if node.name.startswith(_NAMELESS):
                self._nameless[node.op_type].append(node.name)
        self._names = frozenset(node.name for node in graph.node)
        self._operators = _operators_by_node(graph.node, coverage)
        consumers: dict[str, list[str]] = defaultdict(list)
        for node in graph.node:
            for tensor in node.input:
                consumers[tensor].append(node.name)
        self._readers = {
            node.name: [reader for tensor in node.output for reader in consumers[tensor]]
            for node in graph.node
        }

    def name(self, traced: str, kind: str) -> str:
        """Of the node behind a name in the trace, which numbers nameless nodes its own way;
        they come in the same order. Ask once per name."""
        left = self._nameless.get(kind)
        return left.pop(0) if traced not in self._names and left else traced

    def operators(self, name: str) -> tuple[str, ...]:
        return self._operators.get(name, ())

    def serves(self, name: str) -> tuple[str, ...]:
        """For a node of no operator: the operators behind the nodes that read it."""
        return served(name, operators=self._operators, readers=self._readers)


def _operators_by_node(nodes: Iterable[Any], coverage: Coverage) -> dict[str, tuple[str, ...]]:
    """What each node stands for. Rewriting renames tensors, but the names of tensors or of
    nodes still tell what they were; an operator belongs to the first node that covers it."""
    was: dict[str, str] = {}  # tensor of the rewritten graph -> tensor of the float graph
    claimed: set[str] = set()
    found: dict[str, tuple[str, ...]] = {}
    for node in nodes:
        reads = [was.get(tensor) or _plain(tensor) for tensor in node.input if tensor]
        made = _made(node, coverage)
        if node.op_type in _CONVERTING or not made:
            was.update(dict.fromkeys(node.output, reads[0] if reads else ""))
            continue
        was[node.output[0]] = made
        writes = [made, *map(_plain, node.output[1:])]
        covered = [o.name for o in coverage.of(reads, writes) if o.name not in claimed]
        claimed.update(covered)
        found[node.name] = tuple(covered)
    return found


def _made(node: Any, coverage: Coverage) -> str:
    """The tensor of the float graph that a node's first output holds; empty: none known."""
    named = _TOKEN.sub("", str(node.name))
    names = (_plain(node.output[0]) if node.output else "", named)
    return next(filter(None, map(coverage.tensor, names)), "")


def _plain(tensor: str) -> str:
    """A tensor under the name it has in the float graph."""
    for suffix in _SUFFIXES:
        tensor = tensor.removesuffix(suffix)
    return tensor

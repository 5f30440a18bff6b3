"""Takes OpenVINO models apart: time by operator, and int8 switched off operator by operator."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fitwright.backends.distances import queries_of, squares
from fitwright.backends.openvino.keep import Owners, keep_in_float, quantised_operators
from fitwright.backends.openvino.runtime import DEVICE, OpenVinoSession, framework, properties_for
from fitwright.backends.served import served
from fitwright.graph.dependencies import dependencies
from fitwright.ports import Array, Tensors
from fitwright.ports.probe import Subject
from fitwright.records.plan import Settings
from fitwright.records.sensitivity import OperatorTime, Profile

WARMUP = 3
_WEIGHTED = ("FullyConnected", "Convolution", "Deconvolution")


@dataclass(frozen=True)
class OpenVinoProbe:
    """Reads OpenVINO's own performance counters."""

    def profile(
        self, subjects: Sequence[Subject], *, graph: Path, inputs: Tensors, runs: int
    ) -> tuple[Profile, ...]:
        """See `ports.probe.Probe.profile`."""
        owners = Owners(dependencies(graph))
        benches = [_Bench(subject, owners) for subject in subjects]
        queries = queries_of(inputs)
        for turn in range(WARMUP + runs):
            for bench in benches:
                bench.run(queries[turn % len(queries)], counted=turn >= WARMUP)
        return tuple(bench.profile() for bench in benches)

    def quantised(self, model: Path, *, graph: Path) -> tuple[str, ...]:
        """See `ports.probe.Probe.quantised`."""
        core = framework().Core()
        return quantised_operators(core.read_model(str(model)), Owners(dependencies(graph)))

    def distances(
        self, model: Path, *, graph: Path, inputs: Tensors, alone: Sequence[frozenset[str]]
    ) -> Array:
        """See `ports.probe.Probe.distances`."""
        openvino = framework()
        core, owners = openvino.Core(), Owners(dependencies(graph))
        quantised, original = core.read_model(str(model)), core.read_model(str(graph))
        everything = frozenset(quantised_operators(quantised, owners))
        properties = _properties(core, Settings(precision="float32"))
        queries = queries_of(inputs)

        def answers(graph_: Any) -> list[dict[str, Array]]:
            compiled = core.compile_model(graph_, DEVICE, properties)
            session = OpenVinoSession(compiled, version=openvino.__version__)
            return [session.run(query) for query in queries]

        exact = answers(original)
        found = []
        for operators in alone:
            switched = quantised.clone()
            keep_in_float(switched, original, owners, everything - operators)
            found.append(squares(_named_alike(answers(switched), exact), exact))
        return np.array(found)


def _named_alike(
    ours: Sequence[Mapping[str, Array]], theirs: Sequence[Mapping[str, Array]]
) -> list[dict[str, Array]]:
    """Outputs are in the same order; an output of several names may go by another one."""
    return [dict(zip(b, a.values(), strict=True)) for a, b in zip(ours, theirs, strict=True)]


def _properties(core: Any, settings: Settings) -> dict[str, str | int]:
    return properties_for(settings, core.get_property(DEVICE, "OPTIMIZATION_CAPABILITIES"))


class _Bench:
    """One compiled model with counters, and what its nodes stand for."""

    def __init__(self, subject: Subject, owners: Owners) -> None:
        openvino = framework()
        core = openvino.Core()
        model = core.read_model(str(subject.model))
        properties = {**_properties(core, subject.settings), "PERF_COUNT": True}
        compiled = core.compile_model(model, DEVICE, properties)
        self._executed = openvino.ProfilingInfo.Status.EXECUTED
        self._request = compiled.create_infer_request()
        self._owned = _Executed(compiled.get_runtime_model(), owners, model)
        self._whole_s: list[float] = []
        self._seconds: dict[tuple[str, str, str], list[float]] = defaultdict(list)

    def run(self, query: Mapping[str, Array], *, counted: bool) -> None:
        started = time.perf_counter()
        self._request.infer(dict(query), share_inputs=True, share_outputs=True)
        elapsed = time.perf_counter() - started
        if not counted:
            return
        self._whole_s.append(elapsed)
        for node in self._request.get_profiling_info():
            if node.status == self._executed:
                key = (node.node_name, node.node_type, node.exec_type)
                self._seconds[key].append(node.real_time.total_seconds())

    def profile(self) -> Profile:
        runs = len(self._whole_s)
        times = tuple(
            OperatorTime(
                name=name,
                kind=kind,
                arithmetic=arithmetic,
                operators=self._owned.operators(name),
                serves=self._owned.serves(name),
                seconds=tuple(seconds),
            )
            for (name, kind, arithmetic), seconds in self._seconds.items()
            if len(seconds) == runs  # a node that ran only now and then belongs to no query
        )
        return Profile(times=times, whole_s=tuple(self._whole_s))


class _Executed:
    """The executed graph: which operators its nodes were made of, and who reads them."""

    def __init__(self, runtime_model: Any, owners: Owners, model: Any) -> None:
        known = owners.by_friendly_name(model)
        self._owners = owners
        self._operators: dict[str, tuple[str, ...]] = {}
        self._readers: dict[str, list[str]] = {}
        claimed: list[str] = []
        nameless: list[str] = []  # under a name that OpenVINO made up
        for node in runtime_model.get_ordered_ops():
            name = str(node.get_friendly_name())
            info = node.get_rt_info()
            layers = str(info["originalLayersNames"].astype(str)) if _told(info) else ""
            self._operators[name] = self._known(layers.split(","), known)
            if _kind(info).startswith(_WEIGHTED):
                self._name_weighted(name)
                (claimed if self._operators[name] else nameless).append(name)
            self._readers[name] = [
                str(target.get_node().get_friendly_name())
                for port in node.outputs()
                for target in port.get_target_inputs()
            ]
        taken = {operator for name in claimed for operator in self._operators[name]}
        left = [name for name in owners.weighted if name not in taken]
        if len(left) == len(nameless):  # in order: what no other node was made of
            self._operators.update({n: (o,) for n, o in zip(nameless, left, strict=True)})

    def operators(self, name: str) -> tuple[str, ...]:
        return self._operators.get(name, ())

    def serves(self, name: str) -> tuple[str, ...]:
        """For a node of no operator: the operators behind the nodes that read it."""
        return served(name, operators=self._operators, readers=self._readers)

    def _name_weighted(self, name: str) -> None:
        """A product may go by what was fused into it; the product itself then stands behind."""
        found = self._operators[name]
        if found and not any(operator in self._owners.weighted for operator in found):
            self._operators[name] = (*self._owners.behind(found), *found)

    def _known(self, layers: Iterable[str], known: Mapping[str, str]) -> tuple[str, ...]:
        """Operators by the names OpenVINO keeps, ranges of int8 (``…/fq_output_0``) left out."""
        found: dict[str, None] = {}
        for layer in filter(None, layers):
            if "/fq_" in layer or "/nncf_smooth_quant" in layer:
                continue
            if owner := known.get(layer) or self._owners.named(layer):
                found[owner] = None
        return tuple(found)


def _told(info: Any) -> bool:
    return "originalLayersNames" in info


def _kind(info: Any) -> str:
    return str(info["layerType"].astype(str)) if "layerType" in info else ""

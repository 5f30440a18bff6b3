"""Runs ONNX and OpenVINO IR models with OpenVINO on the CPU."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fitwright.backends.openvino import telemetry
from fitwright.backends.openvino.turns import Turns
from fitwright.backends.parted import Answer, cut, joined, num_streams
from fitwright.backends.support import availability, missing, refused, unreadable_type
from fitwright.errors import DataError, TrialFailed
from fitwright.ports import Array, Availability, Session, Tensors
from fitwright.records.plan import Settings

DEVICE = "CPU"
PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
NUMPY_TYPES = {"boolean", "f16", "f32", "f64"} | {f"{s}{n}" for s in "iu" for n in (8, 16, 32, 64)}
CAPABILITIES = {"bfloat16": "BF16", "float16": "FP16"}


@dataclass(frozen=True)
class OpenVino:
    """OpenVINO's CPU plugin."""

    name: str = "openvino"

    def availability(self) -> Availability:
        """Looks for the package, does not import it."""
        return availability("openvino", extra="openvino")

    def formats(self) -> tuple[str, ...]:
        """Which variant formats it reads."""
        return ("onnx", "openvino_ir")

    def prepare(self) -> None:
        """Import OpenVINO; its plugins are loaded by each child itself."""
        framework()

    def load(self, model: Path, settings: Settings) -> Session:
        """Compile for the CPU.

        Raises:
            PlanError: a setting that this machine or OpenVINO cannot honour.
            TrialFailed: OpenVINO cannot read or compile the model.
            BackendMissing: OpenVINO is not installed.
        """
        openvino = framework()
        core = openvino.Core()
        capabilities = core.get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
        properties = properties_for(settings, capabilities)
        try:
            graph = core.read_model(str(model))
            compiled = core.compile_model(graph, DEVICE, properties)
        except (RuntimeError, ValueError) as error:
            raise TrialFailed.by(
                _plain(error), doing=f"loading {model.name} on openvino"
            ) from error
        _check_honoured(compiled, settings)
        return OpenVinoSession(
            compiled,
            version=openvino.__version__,
            shapes=lost_shapes(graph, compiled),
            parts=settings.parts,
        )


def framework() -> Any:
    """The module ``openvino``, without usage reports.

    Raises:
        BackendMissing: it is not installed.
    """
    telemetry.switch_off()
    try:
        import openvino
    except ImportError as error:
        raise missing("openvino", extra="openvino") from error
    return openvino


def properties_for(settings: Settings, capabilities: list[str]) -> dict[str, str | int]:
    """The plugin's own configuration for these settings."""
    if settings.graph_optimization not in (None, "all"):
        why = "it has one level only"
        raise refused("openvino", "graph_optimization", settings.graph_optimization, why=why)
    for setting in ("memory_arena", "spinning"):
        if (value := getattr(settings, setting)) is not None:
            raise refused("openvino", setting, value, why="it offers no such switch")
    if settings.instances != 1:
        why = "one load is one instance; an executor opens several"
        raise refused("openvino", "instances", settings.instances, why=why)
    needs = CAPABILITIES.get(settings.precision or "")
    if needs and needs not in capabilities:
        why = f"this CPU has no such arithmetic (it has {', '.join(sorted(capabilities))})"
        raise refused("openvino", "precision", settings.precision, why=why)
    wanted: dict[str, str | int | None] = {
        "INFERENCE_NUM_THREADS": settings.threads,
        "NUM_STREAMS": num_streams(settings),
        "PERFORMANCE_HINT": settings.mode.upper() if settings.mode else None,
        "INFERENCE_PRECISION_HINT": PRECISIONS.get(settings.precision or ""),
        # of its own accord it ties threads to the first cores, in every process to the same
        "ENABLE_CPU_PINNING": settings.pinned,
    }
    return {key: value for key, value in wanted.items() if value is not None}


def _check_honoured(compiled: Any, settings: Settings) -> None:
    """OpenVINO lowers what it finds too high without a word; here that is an error."""
    for setting, key in (("threads", "INFERENCE_NUM_THREADS"), ("streams", "NUM_STREAMS")):
        asked, got = getattr(settings, setting), int(compiled.get_property(key))
        if asked is not None and asked != got:
            raise refused("openvino", setting, asked, why=f"it took {got} on this machine")


def lost_shapes(graph: Any, compiled: Any) -> dict[int, tuple[int, ...]]:
    """The shapes of outputs that compiling has changed, by position.

    OpenVINO 2026.4 may leave out a last operator that only drops an axis of size 1, and gives
    the output that axis again.
    """
    found = {}
    for i, (ours, theirs) in enumerate(zip(graph.outputs, compiled.outputs, strict=True)):
        declared, given = ours.get_partial_shape(), theirs.get_partial_shape()
        if declared.is_static and given.is_static and declared != given:
            found[i] = tuple(int(size) for size in declared.to_shape())
    return found


class OpenVinoSession:
    """A compiled model and one infer request per query in flight, or per part of one.

    Args:
        shapes: of the outputs, by position, that have another one than the compiled model's.
        parts: that a query is cut into along the first axis; the model takes one of them.
    """

    def __init__(
        self,
        compiled: Any,
        *,
        version: str,
        shapes: Mapping[int, tuple[int, ...]] | None = None,
        parts: int = 1,
    ) -> None:
        self._compiled = compiled
        self._version = version
        self._parts = parts
        self._shapes = dict(shapes or {})
        names = [_name(port, port.get_node()) for port in compiled.inputs]
        _check_types(compiled.inputs, names)
        dtypes = [np.dtype(port.get_element_type().to_dtype()) for port in compiled.inputs]
        self._inputs = dict(zip(names, enumerate(dtypes), strict=True))
        self._outputs = [_name(port, port.get_node()) for port in compiled.outputs]
        _check_types(compiled.outputs, self._outputs)
        requests = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.concurrency = max(1, requests // parts)
        self._idle = Turns(
            [
                [compiled.create_infer_request() for _ in range(parts)]
                for _ in range(self.concurrency)
            ]
        )

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """One query; outputs by name, copied out of the request.

        Raises:
            DataError: names, element types or shapes that the model does not take.
        """
        parts = cut(inputs, parts=self._parts) if self._parts > 1 else [inputs]
        fed = [self._checked(part) for part in parts]
        requests = self._idle.take()
        try:
            if self._parts > 1:
                return self._at_once(requests, fed)
            found = requests[0].infer(fed[0], share_inputs=True, share_outputs=True)
            return {n: self._shaped(found[i], i).copy() for i, n in enumerate(self._outputs)}
        except RuntimeError as error:
            raise self._explained(error, inputs) from error
        finally:
            self._idle.give(requests)

    def _at_once(self, requests: Sequence[Any], parts: Sequence[dict[int, Array]]) -> Answer:
        """Every part on a stream; threads of Python that wait for streams would slow them."""
        started = []
        try:
            for request, part in zip(requests, parts, strict=True):
                request.start_async(part, share_inputs=True)
                started.append(request)
        finally:
            for request in started:
                request.wait()
        return joined(
            [
                {
                    name: self._shaped(request.get_output_tensor(i).data, i)
                    for i, name in enumerate(self._outputs)
                }
                for request in requests
            ]
        )

    def _shaped(self, output: Array, position: int) -> Array:
        """In the shape that the model declares."""
        shape = self._shapes.get(position)
        return output if shape is None else output.reshape(shape)

    def _checked(self, inputs: Tensors) -> dict[int, Array]:
        if inputs.keys() != self._inputs.keys():
            raise DataError(
                f"the model takes the inputs {sorted(self._inputs)}, got {sorted(inputs)}",
                code="FW152",
                remedy="Give one array for each input of the model, under its name.",
            )
        fed = {}
        for name, (index, dtype) in self._inputs.items():
            if inputs[name].dtype != dtype:
                raise DataError(
                    f"input '{name}' is {dtype}, got {inputs[name].dtype}",
                    code="FW152",
                    remedy=f"Convert the array to {dtype}.",
                )
            fed[index] = inputs[name]
        return fed

    def _explained(self, error: RuntimeError, inputs: Tensors) -> DataError | TrialFailed:
        if "shape" not in str(error):
            return TrialFailed.by(_plain(error), doing="running on openvino")
        shapes = {
            name: str(self._compiled.inputs[i].get_partial_shape())
            for name, (i, _) in self._inputs.items()
        }
        got = {name: array.shape for name, array in inputs.items()}
        return DataError(
            f"the model takes inputs of shape {shapes}, got {got}",
            code="FW152",
            remedy="Give arrays of these shapes.",
        )

    def facts(self) -> Mapping[str, str]:
        """What the plugin says it does, asked after compiling."""
        ask = self._compiled.get_property
        return {
            "device": ", ".join(ask("EXECUTION_DEVICES")),
            "precision": _precision_name(ask("INFERENCE_PRECISION_HINT")),
            "threads": str(ask("INFERENCE_NUM_THREADS")),
            "streams": str(ask("NUM_STREAMS")),
            "mode": str(ask("PERFORMANCE_HINT")).lower(),
            "concurrency": str(self.concurrency),
            **({"parts": str(self._parts)} if self._parts > 1 else {}),
            "weights": "shared by the streams" if int(ask("NUM_STREAMS")) > 1 else "one copy",
            "version": self._version,
        }


def _precision_name(element_type: Any) -> str:
    short = str(element_type.to_string())
    return next((name for name, hint in PRECISIONS.items() if hint == short), short)


def _plain(error: Exception) -> RuntimeError:
    """OpenVINO's message without the lines that name its own source files."""
    lines = (line.strip() for line in str(error).splitlines())
    said = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    return RuntimeError(" ".join(said) or str(error))


def _check_types(ports: Sequence[Any], names: Iterable[str]) -> None:
    for port, name in zip(ports, names, strict=True):
        if (found := port.get_element_type().to_string()) not in NUMPY_TYPES:
            raise unreadable_type("openvino", name, found)


def _name(port: Any, node: Any) -> str:
    """The tensor's name in the model file, where OpenVINO knows several."""
    names = port.get_names()
    friendly = str(node.get_friendly_name()).split("/sink_port_")[0]
    return friendly if friendly in names or not names else str(port.get_any_name())

"""Runs ONNX models with ONNX Runtime on the CPU."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fitwright.backends.parted import in_parts
from fitwright.backends.support import (
    availability,
    missing,
    num_cores,
    num_tasks,
    refused,
    unreadable_type,
)
from fitwright.errors import DataError, TrialFailed
from fitwright.ports import Array, Availability, Session, Tensors
from fitwright.records.plan import Settings

PROVIDER = "CPUExecutionProvider"
LEVELS = {
    "none": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
ERRORS = 3  # log severity: errors only
# the smallest model: y = Identity(x), both float32[1], opset 17
IDENTITY = (
    b'\x08\x08\x12\x00:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08'
    b"\x08\x01\x12\x04\n\x02\x08\x01b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00"
    b"\x10\x11"
)
NUMBERS = ("bool", "float16", "float", "double")
INTEGERS = (f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
NUMPY_TYPES = {f"tensor({name})" for name in (*NUMBERS, *INTEGERS)}


@dataclass(frozen=True)
class OnnxRuntime:
    """ONNX Runtime's CPU execution provider."""

    name: str = "onnxruntime"

    def availability(self) -> Availability:
        """Looks for the package, does not import it."""
        return availability("onnxruntime", extra="")

    def formats(self) -> tuple[str, ...]:
        """Which variant formats it reads."""
        return ("onnx",)

    def prepare(self) -> None:
        """Import ONNX Runtime and load one model; see `ports.Preparable`.

        The first session of a process sets up tables of all operators, which takes longer
        than many a model.
        """
        onnxruntime, _ = _modules()
        options = _options(onnxruntime, Settings(), threads=1)
        onnxruntime.InferenceSession(IDENTITY, options, providers=[PROVIDER])

    def load(self, model: Path, settings: Settings) -> Session:
        """Build a session.

        Raises:
            PlanError: a setting that ONNX Runtime cannot honour here.
            TrialFailed: ONNX Runtime cannot read or prepare the model.
            BackendMissing: ONNX Runtime is not installed.
        """
        onnxruntime, native = _modules()
        callers, threads = _callers_and_threads(settings)
        options = _options(onnxruntime, settings, threads)
        before = num_tasks()
        errors = _errors(native)
        try:
            session = onnxruntime.InferenceSession(str(model), options, providers=[PROVIDER])
        except errors as error:
            raise TrialFailed.by(error, doing=f"loading {model.name} on onnxruntime") from error
        if session.get_providers() != [PROVIDER]:
            why = f"it fell back to {session.get_providers()}"
            raise refused("onnxruntime", "provider", PROVIDER, why=why)
        after = num_tasks()
        started = None if before is None or after is None else after - before + 1
        facts = {
            "device": "CPU",
            "provider": PROVIDER,
            "precision": settings.precision or "as in the model",
            "threads": str(started or threads or "default"),
            "streams": str(callers),
            "mode": settings.mode or "latency",
            "concurrency": str(callers),
            "weights": "shared by the streams" if callers > 1 else "one copy",
            "version": str(onnxruntime.__version__),
            **_options_in_force(session.get_session_options()),
        }
        made = OnnxRuntimeSession(session, errors=errors, concurrency=callers, facts=facts)
        return in_parts(made, settings)


def _modules() -> tuple[Any, Any]:
    """ONNX Runtime and the module of its exceptions; quiet, and reporting to nobody."""
    # read when it is imported: without it a thread for reports is started then
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as native
    except ImportError as error:
        raise missing("onnxruntime", extra="") from error
    onnxruntime.set_default_logger_severity(ERRORS)
    onnxruntime.disable_telemetry_events()
    return onnxruntime, native


def configured(settings: Settings) -> tuple[Any, Any]:
    """The module, and the session options by which `load` honours these settings."""
    onnxruntime, _ = _modules()
    return onnxruntime, _options(onnxruntime, settings, _callers_and_threads(settings)[1])


def _options_in_force(options: Any) -> dict[str, str]:
    """Read back from the session, not from what was asked."""
    level = options.graph_optimization_level.name
    return {
        "graph_optimization": next((k for k, v in LEVELS.items() if v == level), level),
        "memory_arena": str(options.enable_cpu_mem_arena),
    }


def _errors(native: Any) -> tuple[type[Exception], ...]:
    """ONNX Runtime's own exceptions have no common class of theirs."""
    kinds = vars(native).values()
    own = (k for k in kinds if isinstance(k, type) and issubclass(k, Exception))
    return (*own, RuntimeError, ValueError, TypeError)


def _callers_and_threads(settings: Settings) -> tuple[int, int | None]:
    """Concurrent callers of the session and threads for each.

    ``throughput`` divides the cores among callers, one thread each unless stated: small
    operators gain more from another query than from another thread. Parts of a query share them
    as well.
    """
    if settings.mode != "throughput" and settings.parts == 1:
        return settings.streams or 1, settings.threads
    callers = settings.streams or (settings.parts if settings.parts > 1 else num_cores())
    return callers, settings.threads or max(1, num_cores() // callers)


def _options(onnxruntime: Any, settings: Settings, threads: int | None) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS
    if threads is not None:
        options.intra_op_num_threads = threads
    if settings.graph_optimization is not None:
        level = LEVELS[settings.graph_optimization]
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    if settings.memory_arena is not None:
        options.enable_cpu_mem_arena = settings.memory_arena
        options.enable_mem_pattern = settings.memory_arena
    if settings.spinning is not None:
        for pool in ("intra_op", "inter_op"):
            key = f"session.{pool}.allow_spinning"
            options.add_session_config_entry(key, "1" if settings.spinning else "0")
    if settings.instances != 1:
        why = "one load is one instance; an executor opens several"
        raise refused("onnxruntime", "instances", settings.instances, why=why)
    _set_precision(options, settings)
    return options


def _set_precision(options: Any, settings: Settings) -> None:
    """float32 arithmetic is what a float32 model gets anyway; bfloat16 exists on Arm only."""
    if settings.precision in (None, "float32"):
        return
    if settings.precision == "bfloat16" and _arm_has_bfloat16():
        options.add_session_config_entry("mlas.enable_gemm_fastmath_arm64_bfloat16", "1")
        return
    why = "its CPU provider has such arithmetic on Arm with bf16 only"
    raise refused("onnxruntime", "precision", settings.precision, why=why)


def _arm_has_bfloat16() -> bool:
    if platform.machine() not in ("aarch64", "arm64"):
        return False
    try:
        return "bf16" in Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False


class OnnxRuntimeSession:
    """One session; `run` needs no lock. Plain `run` is faster here than an IO binding."""

    def __init__(
        self,
        session: Any,
        *,
        errors: tuple[type[Exception], ...],
        concurrency: int,
        facts: Mapping[str, str],
    ) -> None:
        for tensor in (*session.get_inputs(), *session.get_outputs()):
            if tensor.type not in NUMPY_TYPES:
                raise unreadable_type("onnxruntime", tensor.name, tensor.type)
        self._session = session
        self._errors = errors
        self._facts = facts
        self._names = [output.name for output in session.get_outputs()]
        self.concurrency = concurrency

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """One query; outputs by name, each a fresh array.

        Raises:
            DataError: names, element types or shapes that the model does not take.
        """
        try:
            return dict(zip(self._names, self._session.run(self._names, inputs), strict=True))
        except self._errors as error:
            raise self._explained(error, inputs) from error

    def _explained(self, error: Exception, inputs: Tensors) -> DataError | TrialFailed:
        wanted = {i.name: f"{i.type}{i.shape}" for i in self._session.get_inputs()}
        if type(error).__name__ not in ("InvalidArgument", "ValueError"):
            return TrialFailed.by(error, doing="running on onnxruntime")
        got = {name: f"{array.dtype}{list(array.shape)}" for name, array in inputs.items()}
        return DataError(
            f"the model takes {wanted}, got {got}",
            code="FW152",
            remedy="Give one array for each input of the model, under its name, of its type "
            "and shape.",
        )

    def facts(self) -> Mapping[str, str]:
        """What the session is, asked after it was built."""
        return self._facts

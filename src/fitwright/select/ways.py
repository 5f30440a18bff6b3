"""In which number formats, on which runtimes, a device can run a model at all."""

from __future__ import annotations

from fitwright.catalog.support import Refusal, backends_of, supports
from fitwright.perf.fusion import is_depthwise, role
from fitwright.records.model import CONVOLUTIONS, ModelSummary
from fitwright.records.sheet import Sheet
from fitwright.select.asked import RUNTIMES, Asked
from fitwright.select.find import LOCAL

BESIDE = ("float32", "bfloat16", "float16")
"""Formats of the operators that have no kernel in a narrow one."""
ONE_OF_A_KIND = {
    "xla": "torch-compile",
    "litert": "onnxruntime",
    "mlx": "coreml",
    "torch": "torch-compile",
}
"""Backends left out where another runs that is predicted the same, or never slower: it has the
same fusion rules, or merges what the first starts one by one."""


def classes_of(summary: ModelSummary) -> tuple[str, ...]:
    """Operator classes of the model by their FLOP, most first; ``memory`` is always one."""
    flops: dict[str, int] = {"memory": 0}
    for operator in summary.operators:
        kind = role(operator)
        if kind == "product":
            name = "gemm" if operator.kind not in CONVOLUTIONS else "conv"
            name = "depthwise" if is_depthwise(operator) else name
        else:
            name = {"attention": "attention_prefill", "recurrent": "recurrent"}.get(kind, "memory")
        flops[name] = flops.get(name, 0) + (operator.flops or 0)
    return tuple(sorted(flops, key=lambda name: -flops[name]))


def ways_of(sheet: Sheet, classes: tuple[str, ...]) -> tuple[Asked, ...] | str:
    """Every dtype on every backend with all it takes, or why there is none.

    On this machine the backends that are installed; elsewhere those that could be.

    Args:
        classes: of the model, by their FLOP.
    """
    known = [] if sheet.id == LOCAL else list(backends_of(sheet))
    named = dict.fromkeys([*known, *sheet.runs])
    backends = [b for b in named if b in RUNTIMES]
    backends = [b for b in backends if ONE_OF_A_KIND.get(b) not in backends]
    if not backends:
        return f"no backend that runs a graph is known for {sheet.name} ({sheet.family})"
    dtypes = [d for d in sheet.peaks if d != "float64"] or ["int8"]
    found = [
        Asked(dtype=dtype, runtime=backend)
        for backend in backends
        for dtype in dtypes
        if _runs(sheet, backend, dtype, classes) is True
    ]
    if found:
        return tuple(found)
    refusal = _runs(sheet, backends[0], dtypes[0], classes)
    assert isinstance(refusal, Refusal), "nothing was found, so the first is refused"
    return refusal.reason


def _runs(sheet: Sheet, backend: str, dtype: str, classes: tuple[str, ...]) -> bool | Refusal:
    """The heaviest class in that dtype, and all others in it or in floats beside it."""
    heaviest = supports(sheet, backend=backend, dtype=dtype, operator_class=classes[0])
    if heaviest is not True:
        return heaviest
    for name in classes[1:]:
        answers = [
            supports(sheet, backend=backend, dtype=d, operator_class=name) for d in (dtype, *BESIDE)
        ]
        if not any(answer is True for answer in answers):
            return next(a for a in answers if a is not True)
    return True

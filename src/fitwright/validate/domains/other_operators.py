"""Cases of operators beyond products and attentions: convolutions, and those that move bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from fitwright.perf.operators.shapes import BITS, dtype_bytes
from fitwright.perf.work import Work
from fitwright.records.estimate import Estimate, NoData
from fitwright.validate.case import Case, Inputs, Knowledge
from fitwright.validate.domains.operator_dtypes import arithmetic
from fitwright.validate.domains.operators import answered, as_asked, first, whole


@dataclass(frozen=True, kw_only=True, slots=True)
class Passes:
    """What an operator does to each element.

    Attributes:
        reads, writes: how often it is moved.
        flops: arithmetic.
    """

    reads: int
    writes: int
    flops: float


MOVERS: Mapping[str, Passes] = {
    "op/copy": Passes(reads=1, writes=1, flops=0.0),
    "op/elementwise": Passes(reads=1, writes=1, flops=1.0),
    "op/softmax": Passes(reads=1, writes=1, flops=5.0),
    "op/layernorm": Passes(reads=1, writes=1, flops=8.0),
    "op/rmsnorm": Passes(reads=1, writes=1, flops=4.0),
}
"""Each reads its operand once and writes as much; an elementwise case may say ``num_inputs``."""


def _dtype(inputs: Inputs) -> str | NoData:
    spelled = str(first(inputs, "dtype", "precision") or "float16")
    name = arithmetic(spelled)
    return name if name in BITS else NoData(reason=f"unknown dtype {spelled!r} of an operator")


def _elements(inputs: Inputs) -> int | NoData:
    shape = first(inputs, "shape", "size")
    if not isinstance(shape, list | tuple):
        return whole(inputs, "elements", "numel", "num_elements", "n")
    sides = [whole({"shape": side}, "shape") for side in shape]
    wrong = [s for s in sides if isinstance(s, NoData)]
    return wrong[0] if wrong else math.prod(s for s in sides if isinstance(s, int))


def predict_moved(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Seconds of an operator whose bytes decide."""
    does, dtype, elements = MOVERS[case.domain], _dtype(case.inputs), _elements(case.inputs)
    num_inputs = whole(case.inputs, "num_inputs", default=does.reads)
    for found in (dtype, elements, num_inputs):
        if isinstance(found, NoData):
            return found
    assert isinstance(dtype, str) and isinstance(elements, int) and isinstance(num_inputs, int)
    moved = elements * (num_inputs + does.writes) * dtype_bytes(dtype)
    work = Work(
        operator_class="memory", dtype=dtype, flops=does.flops * elements,
        bytes_moved=moved, working_set_bytes=moved,
    )  # fmt: skip
    return as_asked(answered(work, knowledge), work, case)


def predict_conv(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Seconds of one convolution, as the product that it amounts to; padded to keep its size."""
    found = {
        "batch": whole(case.inputs, "batch", "batch_size", default=1),
        "cin": whole(case.inputs, "in_channels", "c_in", "cin", "c"),
        "cout": whole(case.inputs, "out_channels", "c_out", "cout", "k"),
        "height": whole(case.inputs, "height", "h", "in_h"),
        "width": whole(case.inputs, "width", "w", "in_w"),
        "kernel": whole(case.inputs, "kernel_size", "kernel", "r", default=3),
        "stride": whole(case.inputs, "stride", default=1),
        "groups": whole(case.inputs, "groups", default=1),
    }
    dtype = _dtype(case.inputs)
    for value in (dtype, *found.values()):
        if isinstance(value, NoData):
            return value
    assert isinstance(dtype, str)
    sizes = {k: max(v, 1) for k, v in found.items() if isinstance(v, int)}
    if sizes["cin"] % sizes["groups"] or sizes["cout"] % sizes["groups"]:
        return NoData(
            reason=f"groups={sizes['groups']} must divide in_channels={sizes['cin']} and "
            f"out_channels={sizes['cout']}"
        )
    work = conv_work(dtype=dtype, **sizes)
    return as_asked(answered(work, knowledge), work, case)


def conv_work(
    *,
    dtype: str,
    batch: int,
    cin: int,
    cout: int,
    height: int,
    width: int,
    kernel: int,
    stride: int,
    groups: int,
) -> Work:
    """A convolution as implicit GEMM: a row per place, a column per channel out."""
    places = batch * math.ceil(height / stride) * math.ceil(width / stride)
    depth = cin // groups * kernel * kernel
    elements = batch * cin * height * width + cout * depth + places * cout
    return Work(
        operator_class="depthwise" if groups == cin and groups > 1 else "conv",
        dtype=dtype,
        flops=2.0 * places * cout * depth,
        bytes_moved=elements * dtype_bytes(dtype),
        m=places,
        n=cout // groups,
        k=depth,
        num_batches=groups,
    )

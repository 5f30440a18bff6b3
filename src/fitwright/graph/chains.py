"""Chains of equal layers, for measuring devices: the time of one layer is the slope.

Weights are regions of one file of numbers beside the models (`write_pool`), so that many
models are made in no time and on little space. Every chain has inputs of fixed shape and one
output ``y``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Stored = Literal["float32", "int8"]
POOL = "pool.bin"
POOL_BYTES = 192 << 20
_OPSET, _IR = 17, 8
_SIGMA = 0.03  # sums over 64 to 16384 terms neither vanish nor overflow within some layers
_STEP = 4096  # regions begin at pages


def write_pool(folder: Path) -> None:
    """The weights of all chains in that folder: numbers around zero, the same every time."""
    block = np.random.default_rng(0).normal(0, _SIGMA, 1 << 20).astype(np.float32).tobytes()
    with (folder / POOL).open("wb") as file:
        for _ in range(POOL_BYTES // len(block)):
            file.write(block)


class Chain:
    """A graph that grows layer by layer.

    Args:
        stored: ``int8``: every weighted layer stands between QuantizeLinear and
            DequantizeLinear pairs, the form that runtimes choose integer kernels from.
        inputs: shapes by name; the chain goes on from the first.
    """

    def __init__(self, stored: Stored, inputs: Mapping[str, Sequence[int]]) -> None:
        self.stored, self.inputs = stored, inputs
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.last = next(iter(inputs))
        self._count = self._offset = 0
        self._paired: dict[str, str] = {}
        self._has_grid = False
        if stored == "int8":
            self.pair()

    def constant(self, name: str, value: Any) -> str:
        """A stored value."""
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def fresh(self, what: str) -> str:
        """A name that is not taken."""
        self._count += 1
        return f"{what}{self._count}"

    def add(self, kind: str, *others: str, **attributes: Any) -> None:
        """One operator over the last result and other values."""
        made = self.fresh("h")
        self.nodes.append(helper.make_node(kind, [self.last, *others], [made], made, **attributes))
        self.last = made

    def weighted(self, kind: str, shape: Sequence[int], *, axis: int, **attributes: Any) -> None:
        """One operator with a weight and a bias, between quantisation pairs where asked.

        Args:
            axis: of the weight's channels that come out, each with a scale of its own.
        """
        self.add(kind, self.weight(shape, axis=axis), self._bias(shape[axis]), **attributes)
        if self.stored == "int8":
            self.pair()

    def weight(self, shape: Sequence[int], *, axis: int) -> str:
        """The next region of the pool; widened behind a DequantizeLinear where asked."""
        if self.stored == "float32":
            return self._region(shape, TensorProto.FLOAT)
        zeros = np.zeros(shape[axis], np.int8)
        return self._widened(
            self._region(shape, TensorProto.INT8), zeros, scale=_SIGMA / 64, axis=axis
        )

    def _bias(self, size: int) -> str:
        """Of every channel the same."""
        if self.stored == "float32":
            return self.constant(self.fresh("b"), np.full(size, _SIGMA, np.float32))
        bias = self.constant(self.fresh("b"), np.full(size, 64, np.int32))
        return self._widened(bias, np.zeros(size, np.int32), scale=_SIGMA / 64**2, axis=0)

    def _widened(self, integers: str, zeros: Any, *, scale: float, axis: int) -> str:
        """Integers as floats, with scales that differ from channel to channel."""
        scales = scale * np.linspace(0.9, 1.1, len(zeros), dtype=np.float32)
        names = self.constant(self.fresh("s"), scales), self.constant(self.fresh("z"), zeros)
        made = self.fresh("d")
        node = helper.make_node("DequantizeLinear", [integers, *names], [made], made, axis=axis)
        self.nodes.append(node)
        return made

    def _region(self, shape: Sequence[int], element: int) -> str:
        size = math.prod(shape) * (4 if element == TensorProto.FLOAT else 1)
        if self._offset + size > POOL_BYTES:
            self._offset = 0
        tensor = TensorProto(name=self.fresh("w"), data_type=element, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": POOL, "offset": self._offset, "length": size}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        self._offset += -(-size // _STEP) * _STEP
        self.constants.append(tensor)
        return tensor.name

    def pair(self) -> None:
        """Through eight bits and back."""
        self.add("QuantizeLinear", *self._grid())
        self.add("DequantizeLinear", *self._grid())

    def given(self, name: str) -> str:
        """Another input, between a pair of its own where integers are asked for."""
        if self.stored == "float32":
            return name
        if name not in self._paired:
            last, self.last = self.last, name
            self.pair()
            self._paired[name], self.last = self.last, last
        return self._paired[name]

    def _grid(self) -> tuple[str, str]:
        """Scale and zero point of all activations."""
        if not self._has_grid:
            self.constant("scale", np.float32(1 / 64))
            self.constant("zero", np.uint8(0))  # as behind a ReLU; others cost convolutions
            self._has_grid = True
        return "scale", "zero"

    def model(self) -> onnx.ModelProto:
        """The finished model."""
        self.nodes.append(helper.make_node("Identity", [self.last], ["y"], "y"))
        graph = helper.make_graph(
            self.nodes,
            "chain",
            [
                helper.make_tensor_value_info(n, TensorProto.FLOAT, list(s))
                for n, s in self.inputs.items()
            ],
            [onnx.ValueInfoProto(name="y")],
            self.constants,
        )
        opset = helper.make_opsetid("", _OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR)
        return onnx.shape_inference.infer_shapes(model)


Layer = Callable[[Chain], None]


def chained(
    layer: Layer, *, times: int, stored: Stored, inputs: Mapping[str, Sequence[int]]
) -> onnx.ModelProto:
    """The layer, so many times."""
    chain = Chain(stored, inputs)
    for _ in range(times):
        layer(chain)
    return chain.model()


def dense(k: int, n: int) -> Layer:
    """Two products, (k, n) and (n, k), each with a bias, as linear layers have them."""

    def layer(chain: Chain) -> None:
        chain.weighted("Gemm", (k, n), axis=1)
        chain.weighted("Gemm", (n, k), axis=1)

    return layer


def products(chain: Chain) -> None:
    """Scores and weighted values of activations: ``x`` (heads, s, d) with ``kt`` and ``v``."""
    for other in ("kt", "v"):
        chain.add("MatMul", chain.given(other))
        if chain.stored == "int8":
            chain.pair()


def convolutions(c: int, d: int, *, kernel: int, groups: int = 1) -> Layer:
    """Two convolutions that keep the size, from c to d channels and back; one where c = d."""
    pads = [kernel // 2] * 4

    def layer(chain: Chain) -> None:
        for here, there in ((c, d), (d, c)) if c != d else ((c, c),):
            shape = (there, here // groups, kernel, kernel)
            chain.weighted("Conv", shape, axis=0, pads=pads, group=groups)

    return layer


def up_and_down(c: int) -> Layer:
    """A transposed convolution that doubles the size, and a pooling that halves it."""

    def layer(chain: Chain) -> None:
        chain.weighted("ConvTranspose", (c, c, 2, 2), axis=1, kernel_shape=[2, 2], strides=[2, 2])
        chain.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])

    return layer


def plain(kind: str, **attributes: Any) -> Layer:
    """One operator without weights."""
    return lambda chain: chain.add(kind, **attributes)


def normalised(width: int) -> Layer:
    """LayerNormalization over the last axis."""

    def layer(chain: Chain) -> None:
        scale = chain.constant(chain.fresh("scale"), np.ones(width, np.float32))
        bias = chain.constant(chain.fresh("bias"), np.zeros(width, np.float32))
        chain.add("LayerNormalization", scale, bias, axis=-1)

    return layer


def added_and_normalised(width: int) -> Layer:
    """The sum with another activation, normalised: what transformers do twice a block."""
    norm = normalised(width)

    def layer(chain: Chain) -> None:
        chain.add("Add", "other")
        norm(chain)

    return layer


def rounded(chain: Chain) -> None:
    """A curve, and its result through eight bits and back."""
    chain.add("Erf")
    chain.pair()


def guarded(chain: Chain) -> None:
    """What is no number becomes zero, as exporters write it behind every softmax."""
    given = chain.last
    chain.add("IsNaN")
    made = chain.fresh("h")
    if "nought" not in {c.name for c in chain.constants}:
        chain.constant("nought", np.float32(0))
    chain.nodes.append(helper.make_node("Where", [chain.last, "nought", given], [made], made))
    chain.last = made


def seen_two_ways(rows: int, width: int) -> Layer:
    """Two views, the second of which is the first again."""
    shapes = np.array([width, rows], np.int64), np.array([rows, width], np.int64)

    def layer(chain: Chain) -> None:
        for shape in shapes:
            chain.add("Reshape", chain.constant(chain.fresh("shape"), shape))

    return layer


def added_between_softmaxes(chain: Chain) -> None:
    """Add of two activations and a Softmax, which no runtime merges."""
    chain.add("Add", "other")
    chain.add("Softmax", axis=-1)


def turned(rows: int, heads: int, size: int) -> Layer:
    """Heads brought to the front of (1, rows, heads, size); a view that keeps the next turn
    from undoing it."""

    def layer(chain: Chain) -> None:
        chain.add("Transpose", perm=[0, 2, 1, 3])
        shape = chain.constant(chain.fresh("shape"), np.array([1, rows, heads, size], np.int64))
        chain.add("Reshape", shape)

    return layer


def recurrent(hidden: int) -> Layer:
    """A bidirectional LSTM over (steps, batch, 2 x hidden), and its result turned back."""

    def layer(chain: Chain) -> None:
        width = 2 * hidden
        w = chain.weight((2, 4 * hidden, width), axis=0)
        r = chain.weight((2, 4 * hidden, hidden), axis=0)
        chain.add("LSTM", w, r, hidden_size=hidden, direction="bidirectional")
        chain.add("Transpose", perm=[0, 2, 1, 3])
        shape = chain.constant(chain.fresh("shape"), np.array([0, 0, width], np.int64))
        chain.add("Reshape", shape)

    return layer

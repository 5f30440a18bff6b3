"""Small models with random weights, and what the passes need to know about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fitwright.graph.summary import summarize
from fitwright.records.device import Device
from fitwright.records.figure import Figure
from fitwright.records.model import ModelSummary

BATCH = 2


class Graph:
    """Collects nodes and weights of one test model."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def weight(self, name: str, *shape: int) -> str:
        """Uniform values scaled by the fan-in, so that activations keep their size."""
        fan_in = int(np.prod(shape[1:] if len(shape) == 4 else shape[:1]))
        bound = np.sqrt(3.0 / fan_in)
        values = self.rng.uniform(-bound, bound, shape).astype(np.float32)
        return self.constant(name, values)

    def constant(self, name: str, values: Any) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def save(
        self, path: Path, shapes: dict[str, Sequence[int | str]], out: str, *, opset: int
    ) -> Path:
        """With one float input per entry of `shapes` and `out` renamed to ``y``."""
        self.nodes.append(
            helper.make_node("Mul", [out, self.constant("two", np.float32(2))], ["y"])
        )
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in shapes.items()
        ]
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "g", inputs, outputs, self.weights)
        opsets = [helper.make_opsetid("", opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        onnx.save(onnx.shape_inference.infer_shapes(model), path)
        return path


def _cnn(path: Path, batch: int | str) -> Path:
    g = Graph()
    x = g.add("Conv", "x", g.weight("w0", 16, 3, 3, 3), pads=[1] * 4)
    stats = [g.constant(f"bn{i}", np.full(16, v, np.float32)) for i, v in enumerate((1, 0.1, 0, 1))]
    x = g.add("Relu", g.add("BatchNormalization", x, *stats))
    x = g.add("Add", x, g.add("Conv", x, g.weight("w1", 16, 16, 3, 3), pads=[1] * 4))
    x = g.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = g.add("Relu", g.add("Conv", x, g.weight("w2", 32, 16, 3, 3)))
    x = g.add("Flatten", g.add("GlobalAveragePool", x))
    x = g.add("Gemm", x, g.weight("w3", 10, 32), g.weight("b3", 10), transB=1)
    return g.save(path, {"x": (batch, 3, 16, 16)}, x, opset=17)


def _mlp(path: Path, batch: int | str) -> Path:
    g = Graph()
    x = g.add(
        "Relu", g.add("Add", g.add("MatMul", "x", g.weight("w0", 64, 128)), g.weight("b", 128))
    )
    x = g.add("Relu", g.add("Gemm", x, g.weight("w1", 128, 128), g.weight("c", 128), transB=1))
    return g.save(path, {"x": (batch, 64)}, g.add("MatMul", x, g.weight("w2", 128, 16)), opset=18)


def _transformer(path: Path, batch: int | str) -> Path:
    g, width, heads = Graph(), 64, 4
    ones, zeros = (g.constant(n, np.full(width, v, np.float32)) for n, v in (("g", 1), ("z", 0)))
    split = g.constant("split", np.array([0, 0, heads, width // heads]))
    merge = g.constant("merge", np.array([0, 0, width]))

    def headed(name: str, source: str, perm: list[int]) -> str:
        projected = g.add("MatMul", source, g.weight(name, width, width))
        return g.add("Transpose", g.add("Reshape", projected, split), perm=perm)

    h = g.add("LayerNormalization", "x", ones, zeros, axis=-1)
    q, k, v = (
        headed(n, h, p) for n, p in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3]))
    )
    scores = g.add("Div", g.add("MatMul", q, k), g.constant("root", np.float32(4)))
    mixed = g.add("MatMul", g.add("Softmax", scores, axis=-1), v)
    mixed = g.add("Reshape", g.add("Transpose", mixed, perm=[0, 2, 1, 3]), merge)
    x = g.add("Add", "x", g.add("MatMul", mixed, g.weight("o", width, width)))
    h = g.add("LayerNormalization", x, ones, zeros, axis=-1)
    h = g.add("Relu", g.add("MatMul", h, g.weight("up", width, 4 * width)))
    x = g.add("Add", x, g.add("MatMul", h, g.weight("down", 4 * width, width)))
    return g.save(path, {"x": (batch, 12, width)}, x, opset=17)


def _lstm(path: Path, batch: int | str, *, reordered: bool = False) -> Path:
    g, size = Graph(), 48
    w, r = (
        g.constant(n, g.rng.uniform(-0.2, 0.2, (1, 4 * size, size)).astype(np.float32))
        for n in "wr"
    )
    if reordered:
        w, r = (_gates_reordered(g, name) for name in (w, r))
    x = g.add("LSTM", "x", w, r, hidden_size=size)
    x = g.add("Squeeze", x, g.constant("axes", np.array([1])))
    return g.save(path, {"x": (5, batch, size)}, x, opset=17)


def _gates_reordered(g: Graph, weights: str) -> str:
    """Cut into four and put together in another order, as exporters from PyTorch do."""
    edges = [g.constant(f"{weights}.{i}", np.array([48 * i])) for i in range(5)]
    axis = g.constant(f"{weights}.axis", np.array([1]))
    gates = [g.add("Slice", weights, edges[i], edges[i + 1], axis) for i in (0, 3, 1, 2)]
    return g.add("Concat", *gates, axis=1)


BUILDERS: dict[str, Callable[[Path, int | str], Path]] = {
    "cnn": _cnn,
    "mlp": _mlp,
    "transformer": _transformer,
    "lstm": _lstm,
    "reordered_lstm": partial(_lstm, reordered=True),
}
Build = Callable[..., Path]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Writes a model by name; `batch` may be a symbol."""

    def written(name: str, *, batch: int | str = BATCH) -> Path:
        folder = tmp_path / "original"
        folder.mkdir(exist_ok=True)
        return BUILDERS[name](folder / f"{name}.onnx", batch)

    return written


@pytest.fixture
def summary_of() -> Callable[[Path], ModelSummary]:
    """Step 1's view of a model at the tests' batch."""
    return lambda path: summarize(path, shapes={}, batch=BATCH)


@pytest.fixture
def calibration_of(tmp_path: Path) -> Callable[[ModelSummary], Path]:
    """Sixteen normal queries for a model, as an archive."""

    def written(summary: ModelSummary) -> Path:
        rng = np.random.default_rng(1)
        out = tmp_path / "calibration.npz"
        arrays: dict[str, Any] = {
            i.name: rng.normal(size=(16, *i.shape)).astype(i.dtype) for i in summary.inputs
        }
        np.savez(out, **arrays)
        return out

    return written


@pytest.fixture
def device() -> Device:
    """A CPU with VNNI and bfloat16 instructions, whatever this machine has."""
    unknown = Figure.unavailable("a test device")
    return Device(
        id="test",
        kind="cpu",
        name="Test CPU",
        architecture="x86_64",
        instruction_sets=("avx2", "avx512_vnni", "avx512_bf16"),
        num_cores=2,
        num_threads=2,
        caches=(),
        memory_bytes=8 << 30,
        peaks={},
        bandwidth=unknown,
        idle_power=unknown,
        loaded_power=unknown,
        software={},
        backends=("onnxruntime", "openvino"),
    )

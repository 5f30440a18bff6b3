"""Small models and a way to put them on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fitwright.graph.summary import summarize
from fitwright.records.model import ModelSummary


class Build:
    """Makes models in one line and writes them beneath a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def model(
        self,
        nodes: Sequence[onnx.NodeProto],
        inputs: dict[str, Sequence[int | str | None]],
        outputs: Sequence[str],
        weights: dict[str, Any] | None = None,
        **options: Any,
    ) -> onnx.ModelProto:
        """A float32 model; weights are arrays, or TensorProtos as they are."""
        element = options.pop("element", TensorProto.FLOAT)
        opset = options.pop("opset", 21)
        domains = options.pop("domains", ())
        stored = [
            w if isinstance(w, onnx.TensorProto) else numpy_helper.from_array(np.asarray(w), name)
            for name, w in (weights or {}).items()
        ]
        graph = helper.make_graph(
            list(nodes),
            "g",
            [helper.make_tensor_value_info(n, element, list(s)) for n, s in inputs.items()],
            [onnx.ValueInfoProto(name=o) for o in outputs],
            stored,
        )
        imports = [helper.make_opsetid("", opset)]
        imports += [helper.make_opsetid(d, 1) for d in domains]
        return helper.make_model(
            graph, opset_imports=imports, ir_version=options.pop("ir_version", 10), **options
        )

    def save(self, model: onnx.ModelProto, name: str = "model.onnx") -> Path:
        path = self.folder / name
        path.write_bytes(model.SerializeToString())
        return path

    def summary(self, model: onnx.ModelProto, *, batch: int = 1, **shapes: int) -> ModelSummary:
        return summarize(self.save(model), shapes=shapes, batch=batch)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(tmp_path)


@pytest.fixture(scope="session")
def shared_build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """For property tests, which run one function many times."""
    return Build(tmp_path_factory.mktemp("models"))


@pytest.fixture
def cost_of(build: Build) -> Callable[..., Any]:
    """The counted cost of a model of one node."""

    def cost(
        kind: str,
        inputs: dict[str, Sequence[int]],
        weights: dict[str, Any] | None = None,
        *,
        domain: str = "",
        num_outputs: int = 1,
        element: int = TensorProto.FLOAT,
        opset: int = 21,
        order: Sequence[str] | None = None,
        **attributes: Any,
    ) -> Any:
        outs = [f"y{i}" for i in range(num_outputs)]
        names = list(order) if order is not None else [*inputs, *(weights or {})]
        node = helper.make_node(kind, names, outs, domain=domain, **attributes)
        model = build.model(
            [node],
            inputs,
            outs[:1],
            weights,
            element=element,
            opset=opset,
            domains=(domain,) if domain else (),
        )
        summary = build.summary(model)
        assert summary.uncounted == ()
        return summary.operators[0]

    return cost

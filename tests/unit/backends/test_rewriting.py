"""The rewriting passes as `adapt` calls them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from fitwright.backends import RUNTIMES
from fitwright.backends.recipes import RECIPES
from fitwright.ports import TransformRequest, TransformResult
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.plan import Settings
from fitwright.records.recipe import (
    DropMasks,
    FuseAttention,
    FuseNormalization,
    Int8Static,
    PlainAttention,
    Recipe,
    Simplify,
)

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[1,16,32] x) => (float[1,16,32] y) {
  q = MatMul(x, wq) q4 = Reshape(q, heads) qh = Transpose<perm=[0,2,1,3]>(q4)
  k = MatMul(x, wk) k4 = Reshape(k, heads) kt = Transpose<perm=[0,2,3,1]>(k4)
  v = MatMul(x, wv) v4 = Reshape(v, heads) vh = Transpose<perm=[0,2,1,3]>(v4)
  s = MatMul(qh, kt) c = Mul(s, scale) p = Softmax<axis=-1>(c)
  o = MatMul(p, vh) ot = Transpose<perm=[0,2,1,3]>(o) f = Reshape(ot, flat)
  y = MatMul(f, wo)
}"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Attention of 4 heads over 16 tokens, with its four projections."""
    draw = np.random.default_rng(0)
    weights = {n: draw.normal(size=(32, 32), scale=0.25) for n in ("wq", "wk", "wv", "wo")}
    stored = {n: w.astype(np.float32) for n, w in weights.items()} | {
        "heads": np.asarray([1, 16, 4, 8], np.int64),
        "flat": np.asarray([1, 16, 32], np.int64),
        "scale": np.float32(8**-0.5),
    }
    made = onnx.parser.parse_model(TEXT)
    made.graph.initializer.extend(onnx.numpy_helper.from_array(a, n) for n, a in stored.items())
    path = tmp_path / "attention.onnx"
    onnx.save(made, path)
    return path


@pytest.fixture
def apply(
    tmp_path: Path,
    summary_of: Callable[[Path], ModelSummary],
    calibration_of: Callable[[ModelSummary], Path],
) -> Callable[[Recipe, Path], TransformResult]:
    """Runs the pass of a recipe in this process, as a child would."""

    def applied(recipe: Recipe, file: Path) -> TransformResult:
        folder = tmp_path / f"made-{recipe.kind}"
        folder.mkdir()
        summary = summary_of(file)
        request = TransformRequest(
            recipe=recipe,
            model=file,
            summary=summary,
            calibration=calibration_of(summary),
            folder=folder,
        )
        return RECIPES[type(recipe), getattr(recipe, "toolkit", "")](request)

    return applied


def test_both_backends_run_the_fused_file_and_agree(apply, model: Path) -> None:
    made = apply(FuseAttention(), model)
    assert made.backends == ("onnxruntime", "openvino")
    assert made.notes == ("1 x attention as one operator",)
    x = np.random.default_rng(1).normal(size=(1, 16, 32)).astype(np.float32)
    settings = Settings(precision="float32")
    before = RUNTIMES["onnxruntime"].load(model, Settings()).run({"x": x})["y"]
    for name, wanted in (("onnxruntime", Settings()), ("openvino", settings)):
        after = RUNTIMES[name].load(made.file, wanted).run({"x": x})["y"]
        # float32 sums of 32 terms in another order
        np.testing.assert_allclose(after, before, atol=1e-5)


@pytest.mark.parametrize("toolkit", ["onnxruntime", "nncf"])
@pytest.mark.slow
def test_a_fused_file_is_quantised_no_worse_than_the_plain_one(
    apply, model: Path, toolkit: str, tmp_path: Path
) -> None:
    pytest.importorskip("nncf")
    fused = apply(FuseAttention(), model).file
    backend = "openvino" if toolkit == "nncf" else "onnxruntime"
    x = np.random.default_rng(1).normal(size=(1, 16, 32)).astype(np.float32)
    original = RUNTIMES["onnxruntime"].load(model, Settings()).run({"x": x})["y"]
    distances = []
    for file in (model, fused):
        made = apply(Int8Static(toolkit=toolkit), file)
        made.file.parent.rename(tmp_path / f"kept-{len(distances)}")
        path = tmp_path / f"kept-{len(distances)}" / made.file.name
        y = RUNTIMES[backend].load(path, Settings()).run({"x": x})["y"]
        distances.append(float(np.linalg.norm(y - original) / np.linalg.norm(original)))
    # 8 bits err by 0.7 % per tensor, and scores within the fused operator may stay in float
    # in one toolkit and not in the other
    assert distances[1] <= max(1.25 * distances[0], 0.02)


def test_nothing_to_change_is_said(apply, model: Path) -> None:
    made = apply(FuseNormalization(), model)
    assert not made.modified
    assert made.file == model
    assert made.notes == ("it found no place to change",)


def test_a_model_without_the_operators_is_refused_before_anything_runs(
    model: Path, summary_of: Callable[[Path], ModelSummary], device: Device
) -> None:
    summary = summary_of(model)
    refused = RECIPES[FuseNormalization, ""].refuses(FuseNormalization(), summary, device)
    assert refused == "the model has none of ReduceMean"
    assert RECIPES[Simplify, ""].refuses(Simplify(), summary, device) is None
    promised = DropMasks(constant_inputs=(("x", 1.0),))
    assert RECIPES[DropMasks, ""].refuses(promised, summary, device) is None


def test_the_passes_cross_process_borders() -> None:
    for recipe in (Simplify, FuseNormalization, DropMasks, FuseAttention, PlainAttention):
        assert pickle.loads(pickle.dumps(RECIPES[recipe, ""])) == RECIPES[recipe, ""]

"""Each pass: what it writes, what it leaves alone, and what it refuses."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import onnxruntime
import pytest

from fitwright.backends import RUNTIMES
from fitwright.backends.recipes import RECIPES
from fitwright.ports import Array, TransformRequest, TransformResult
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.plan import Settings
from fitwright.records.recipe import (
    Bf16,
    FixShapes,
    Fp16Weights,
    Int4Weights,
    Int8Dynamic,
    Int8Static,
    Int8Weights,
    Recipe,
    title,
)

Build = Callable[..., Path]
Apply = Callable[[Recipe, Path], TransformResult]

# Largest relative L2 distance allowed. Rounding to n levels over a range of about six
# standard deviations gives an error near 6 / (n * sqrt(12)) per tensor: 0.7 % for 8 bits,
# some 10 % for 4; errors of the two to six layers in these models add up.
BITS8, BITS4, HALF = 0.05, 0.25, 2e-3


@pytest.fixture
def apply(
    tmp_path: Path,
    summary_of: Callable[[Path], ModelSummary],
    calibration_of: Callable[[ModelSummary], Path],
    device: Device,
) -> Apply:
    """Runs the pass of a recipe in this process, as a child would."""

    def applied(recipe: Recipe, model: Path) -> TransformResult:
        folder = tmp_path / "made"
        folder.mkdir()
        summary = summary_of(model)
        request = TransformRequest(
            recipe=recipe,
            model=model,
            summary=summary,
            calibration=calibration_of(summary),
            folder=folder,
            device=device,
        )
        return RECIPES[type(recipe), getattr(recipe, "toolkit", "")](request)

    return applied


def answers(model: Path, backend: str) -> dict[str, Array]:
    """Outputs on one fixed query."""
    shape = [
        d.dim_value or 2
        for d in onnx.load(_source(model)).graph.input[0].type.tensor_type.shape.dim
    ]
    x = np.random.default_rng(5).normal(size=shape).astype(np.float32)
    settings = Settings(precision="float32") if backend == "openvino" else Settings()
    return RUNTIMES[backend].load(model, settings).run({"x": x})


def _source(model: Path) -> Path:
    """The ONNX file a model was made from; tests write one beside ``made/``."""
    return next((model.parent.parent / "original").glob("*.onnx"))


def distance(result: TransformResult, original: Path, backend: str) -> float:
    """Relative L2 distance of the outputs from the original's, in this backend."""
    now, before = answers(result.file, backend), answers(original, "onnxruntime")
    assert now.keys() == before.keys()
    assert all(now[name].shape == before[name].shape for name in before)
    return float(np.linalg.norm(now["y"] - before["y"]) / np.linalg.norm(before["y"]))


def kinds(model: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(model).graph.node)


# --- what every pass keeps --------------------------------------------------------------

CASES = [
    (FixShapes(), "cnn", 1e-5),
    (Fp16Weights(), "cnn", HALF),
    (Fp16Weights(), "transformer", HALF),
    (Int8Static(), "cnn", BITS8),
    (Int8Static(), "mlp", BITS8),
    (Int8Static(), "transformer", BITS8),
    (Int8Static(method="entropy"), "cnn", 3 * BITS8),
    (Int8Static(method="percentile"), "cnn", BITS8),
    (Int8Dynamic(), "mlp", BITS8),
    (Int8Dynamic(), "transformer", BITS8),
    (Int8Dynamic(), "lstm", BITS8),
    (Int8Dynamic(per_channel=False), "reordered_lstm", BITS8),
    (Int8Weights(), "cnn", BITS8),
    (Int8Weights(), "mlp", BITS8),
    (Int8Weights(), "transformer", BITS8),
    (Int4Weights(), "mlp", BITS4),
    (Int4Weights(), "transformer", BITS4),
]
NNCF_CASES = [
    (Int8Static(toolkit="nncf"), "cnn", BITS8),
    (Int8Static(toolkit="nncf"), "transformer", BITS8),
    (Int8Static(toolkit="nncf", method="percentile"), "mlp", BITS8),
    (Int8Static(toolkit="nncf", method="entropy"), "mlp", BITS8),
    (Int8Weights(toolkit="nncf"), "cnn", BITS8),
    (Int8Weights(toolkit="nncf"), "transformer", BITS8),
    (Int4Weights(toolkit="nncf"), "transformer", BITS4),
]


def _name(value: object) -> str | None:
    return title(value) if hasattr(value, "kind") else None  # type: ignore[arg-type]


@pytest.mark.parametrize(("recipe", "model", "tolerance"), CASES, ids=_name)
def test_every_backend_a_pass_names_answers_as_the_original_does(
    recipe: Recipe, model: str, tolerance: float, apply: Apply, build: Build
) -> None:
    original = build(model)
    result = apply(recipe, original)
    assert result.modified
    assert {b: d for b in result.backends if (d := distance(result, original, b)) > tolerance} == {}


@pytest.mark.parametrize(("recipe", "model", "tolerance"), NNCF_CASES, ids=_name)
def test_nncf_writes_a_model_that_answers_as_the_original_does(
    recipe: Recipe, model: str, tolerance: float, apply: Apply, build: Build
) -> None:
    pytest.importorskip("nncf")
    original = build(model)
    result = apply(recipe, original)
    assert (result.format, result.backends) == ("openvino_ir", ("openvino",))
    assert sorted(f.name for f in result.file.parent.iterdir()) == ["model.bin", "model.xml"]
    assert distance(result, original, "openvino") <= tolerance


def test_a_chain_that_changes_no_file_states_a_setting(apply: Apply, build: Build) -> None:
    original = build("mlp")
    result = apply(Bf16(), original)
    assert result.file == original
    assert result.settings == Settings(precision="bfloat16")
    assert result.backends == ("openvino",)


# --- what each one writes ---------------------------------------------------------------


def test_fixed_shapes_are_written_and_normalisation_is_folded(apply: Apply, build: Build) -> None:
    result = apply(FixShapes(), build("cnn", batch="batch"))
    shape = onnx.load(result.file).graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_value for d in shape] == [2, 3, 16, 16]
    assert kinds(result.file)["BatchNormalization"] == 0
    assert [f.name for f in result.file.parent.iterdir()] == ["model.onnx"]


def test_fixing_a_fixed_model_changes_nothing(apply: Apply, build: Build) -> None:
    result = apply(FixShapes(), build("lstm"))
    assert not result.modified
    assert "shapes are static" in result.notes[0]


def test_static_int8_surrounds_every_convolution_with_quantisers(
    apply: Apply, build: Build
) -> None:
    original = build("cnn")
    result = apply(Int8Static(), original)
    model = onnx.load(result.file)
    makers = {o: n.op_type for n in model.graph.node for o in n.output}
    convolutions = [n for n in model.graph.node if n.op_type == "Conv"]
    assert len(convolutions) == 3
    assert {makers[i] for n in convolutions for i in n.input[:2]} == {"DequantizeLinear"}
    weights = {w.name: w for w in model.graph.initializer}
    scales = [w for n, w in weights.items() if n.startswith("w1") and n.endswith("_scale")]
    assert [list(s.dims) for s in scales] == [[16]], "one scale per output channel"


def test_static_int8_leaves_softmax_and_normalisation_in_float(apply: Apply, build: Build) -> None:
    model = onnx.load(apply(Int8Static(), build("transformer")).file)
    readers = {i: n.op_type for n in model.graph.node for i in n.input}
    quantised = {
        readers.get(n.output[0]) for n in model.graph.node if n.op_type == "DequantizeLinear"
    }
    assert quantised <= {"MatMul", "Mul"}


def test_dynamic_int8_computes_in_integers(apply: Apply, build: Build) -> None:
    found = kinds(apply(Int8Dynamic(), build("mlp")).file)
    assert found["MatMulInteger"] == 3
    assert found["DynamicQuantizeLinear"] == 3


@pytest.mark.parametrize("name", ["lstm", "reordered_lstm"])
def test_dynamic_int8_reaches_recurrent_layers(
    name: str,
    apply: Apply,
    build: Build,
    device: Device,
    summary_of: Callable[[Path], ModelSummary],
) -> None:
    transform = RECIPES[Int8Dynamic, ""]
    assert transform.refuses(Int8Dynamic(), summary_of(build(name)), device) is None
    assert kinds(apply(Int8Dynamic(), build(name)).file)["DynamicQuantizeLSTM"] == 1


def test_dynamic_int8_leaves_convolutions_in_float_and_says_so(apply: Apply, build: Build) -> None:
    result = apply(Int8Dynamic(), build("cnn"))
    assert kinds(result.file)["Conv"] == 3
    assert any("convolutions stay float" in note for note in result.notes)


@pytest.mark.parametrize(("recipe", "at_most"), [(Fp16Weights(), 0.55), (Int8Static(), 0.4)])
def test_narrow_weights_make_a_smaller_file(
    recipe: Recipe, at_most: float, apply: Apply, build: Build
) -> None:
    # 2 and 1 bytes instead of 4, plus scales and quantiser nodes of a few kB.
    original = build("mlp")
    result = apply(recipe, original)
    assert result.file.stat().st_size < at_most * original.stat().st_size


def test_int4_is_smaller_than_int8(apply: Apply, build: Build, tmp_path: Path) -> None:
    original = build("transformer")
    wide = apply(Int8Weights(), original).file.rename(tmp_path / "wide.onnx")
    for left in (tmp_path / "made").iterdir():
        left.unlink()
    (tmp_path / "made").rmdir()
    narrow = apply(Int4Weights(), original).file
    assert narrow.stat().st_size < wide.stat().st_size < 0.45 * original.stat().st_size


def test_weights_of_convolutions_are_int8_in_the_file_and_float_in_the_graph(
    apply: Apply, build: Build
) -> None:
    result = apply(Int8Weights(), build("cnn"))
    model = onnx.load(result.file)
    stored = Counter(w.data_type for w in model.graph.initializer if len(w.dims) == 4)
    assert stored == {onnx.TensorProto.INT8: 2, onnx.TensorProto.FLOAT: 1}, "w0 is too small"
    assert result.backends == ("onnxruntime", "openvino")


@pytest.mark.parametrize("recipe", [Int8Weights(), Int8Dynamic(), Int8Static()])
def test_a_model_of_an_old_opset_gets_scales_per_channel(
    recipe: Recipe, apply: Apply, build: Build
) -> None:
    path = build("cnn")
    model = onnx.load(path)
    model.opset_import[0].version = 11  # DequantizeLinear has one scale for all there
    onnx.save(model, path)
    result = apply(recipe, path)
    assert any("opset raised from 11 to 13" in note for note in result.notes)
    onnxruntime.InferenceSession(result.file)


def test_nncf_really_quantises(apply: Apply, build: Build) -> None:
    pytest.importorskip("nncf")
    result = apply(Int8Static(toolkit="nncf"), build("cnn"))
    assert result.file.read_text().count('type="FakeQuantize"') >= 6


def test_nncf_stores_matrices_in_four_bits(apply: Apply, build: Build) -> None:
    pytest.importorskip("nncf")
    result = apply(Int4Weights(toolkit="nncf"), build("transformer"))
    assert 'element_type="i4"' in result.file.read_text()
    assert any("in int4" in note for note in result.notes)


# --- hardware decides -------------------------------------------------------------------


def test_without_vnni_weights_keep_to_seven_bits(
    apply: Apply, build: Build, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    # vpmaddubsw adds two products of 8 by 8 bits in 16 bits, which 8-bit weights overflow.
    monkeypatch.setitem(device.__dict__, "instruction_sets", ("avx2",))
    result = apply(Int8Static(), build("cnn"))
    weights = [
        onnx.numpy_helper.to_array(w)
        for w in onnx.load(result.file).graph.initializer
        if w.data_type == onnx.TensorProto.INT8 and len(w.dims) == 4
    ]
    assert len(weights) == 3
    assert all(np.abs(w.astype(int)).max() <= 64 for w in weights)
    assert any("7 of 8 bits" in note for note in result.notes)


@pytest.mark.parametrize("recipe", [Int8Dynamic(), Int8Static()])
def test_a_model_that_states_the_shapes_of_its_weights_is_quantised(
    recipe: Recipe, apply: Apply, build: Build
) -> None:
    # so does the exporter of torch; ONNX Runtime's quantiser trips over those it transposes
    path = build("cnn")
    model = onnx.load(path)
    model.graph.value_info.extend(
        onnx.helper.make_tensor_value_info(w.name, w.data_type, list(w.dims))
        for w in model.graph.initializer
    )
    onnx.save(model, path)
    assert apply(recipe, path).modified


@pytest.mark.parametrize(
    ("recipe", "model", "reason"),
    [
        (Int8Dynamic(), "nothing", "none of Attention, Gemm, LSTM, MatMul"),
        (Int4Weights(), "lstm", "none of Gemm, MatMul"),
        (Int8Weights(), "lstm", "none of Conv, ConvTranspose, Gemm, MatMul"),
        (Int8Static(), "lstm", "none of Conv, ConvTranspose, Gemm, MatMul"),
        (Int4Weights(toolkit="nncf"), "lstm", "none of Gemm, MatMul"),
        (Fp16Weights(), "nothing", "no weights"),
        (Int4Weights(), "cnn", "of the weights belong to Gemm, MatMul"),
    ],
)
def test_a_pass_says_why_it_refuses_a_model(
    recipe: Recipe,
    model: str,
    reason: str,
    build: Build,
    device: Device,
    summary_of: Callable[[Path], ModelSummary],
) -> None:
    summary = summary_of(build("cnn" if model == "nothing" else model))
    if model == "nothing":
        summary = summary.model_copy(update={"operators": (), "weight_bytes": 0})
    transform = RECIPES[type(recipe), getattr(recipe, "toolkit", "")]
    why = transform.refuses(recipe, summary, device)
    assert why is not None and reason in why


@pytest.mark.parametrize(
    "recipe",
    [
        Int8Static(),
        Int8Static(toolkit="nncf"),
        Int8Dynamic(),
        Int8Weights(),
        Int8Weights(toolkit="nncf"),
        Int4Weights(),
    ],
)
def test_a_model_that_came_quantised_is_not_quantised_again(
    recipe: Recipe,
    build: Build,
    device: Device,
    summary_of: Callable[[Path], ModelSummary],
) -> None:
    summary = summary_of(build("cnn"))
    pair = summary.operators[0].model_copy(update={"kind": "QuantizeLinear"})
    summary = summary.model_copy(update={"operators": (*summary.operators, pair)})
    transform = RECIPES[type(recipe), getattr(recipe, "toolkit", "")]
    assert "quantised already" in str(transform.refuses(recipe, summary, device))


def test_bf16_is_refused_without_the_instructions(
    build: Build, device: Device, summary_of: Callable[[Path], ModelSummary]
) -> None:
    plain = device.model_copy(update={"instruction_sets": ("avx2", "avx512_vnni")})
    bf16, summary = RECIPES[Bf16, ""], summary_of(build("mlp"))
    assert bf16.refuses(Bf16(), summary, device) is None
    assert "Test CPU has none of" in str(bf16.refuses(Bf16(), summary, plain))


def test_models_beyond_one_protobuf_are_refused_by_what_builds_one(
    build: Build, device: Device, summary_of: Callable[[Path], ModelSummary]
) -> None:
    huge = summary_of(build("mlp")).model_copy(update={"size_bytes": 3_000_000_000})
    for recipe in (Int8Static(), Int8Dynamic(), Int8Weights(), Int4Weights()):
        transform = RECIPES[type(recipe), getattr(recipe, "toolkit", "")]
        assert "the model has 3.0 GB" in str(transform.refuses(recipe, huge, device))


# --- the table --------------------------------------------------------------------------


def test_the_table_has_a_pass_for_every_recipe() -> None:
    kinds_of_recipe = get_args(get_args(Recipe)[0])
    wanted = {
        (kind, toolkit)
        for kind in kinds_of_recipe
        for toolkit in (("onnxruntime", "nncf") if "toolkit" in kind.model_fields else ("",))
    }
    assert set(RECIPES) == wanted


def test_passes_cross_process_borders_and_say_what_they_need() -> None:
    for transform in RECIPES.values():
        assert pickle.loads(pickle.dumps(transform)) == transform
        assert transform.requires and transform.ensures


def test_passes_print_nothing(
    apply: Apply, build: Build, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("nncf")
    apply(Int8Static(toolkit="nncf", method="minmax"), build("mlp"))
    assert capfd.readouterr().out == ""

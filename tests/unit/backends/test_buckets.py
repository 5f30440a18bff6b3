"""One file for several lengths answers what the file for the whole length answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from fitwright.adapt.adapt import Workshop, adapt
from fitwright.adapt.calibration import write_calibration
from fitwright.adapt.variants import original_variant, variant_path
from fitwright.backends import RUNTIMES
from fitwright.backends.recipes import RECIPES
from fitwright.errors import ModelRefused
from fitwright.graph.buckets import merge_lengths
from fitwright.graph.summary import summarize
from fitwright.graph.trim import STEP, trim_padding
from fitwright.ports import Array, ChildLimits, Samples
from fitwright.records.device import Device
from fitwright.records.plan import Settings
from fitwright.records.recipe import (
    Buckets,
    FixShapes,
    Fp16Weights,
    FuseAttention,
    Int8Dynamic,
    Int8Static,
    Int8Weights,
    Recipe,
    Simplify,
    Skipped,
    Trim,
    Variant,
)
from fitwright.testing.models import HIDDEN, write_masked_encoder

LENGTHS = (4, 8, 16)
BUCKETS = Buckets(mask="mask", symbol="tokens", lengths=LENGTHS)
TRIM = Trim(mask="mask", symbol="tokens", lengths=LENGTHS)
FLOAT = {"onnxruntime": Settings(threads=1), "openvino": Settings(threads=1, precision="float32")}


class Here:
    """Calls in this process."""

    def call(self, function: Callable[..., Any], _limits: ChildLimits, /, *args: Any) -> Any:
        return function(*args)


def query(
    length: int, *, batch: int = 1, tokens: int = LENGTHS[-1], seed: int = 0
) -> dict[str, Array]:
    """Padded to `tokens`; the first row has all of its own, later ones one less each."""
    ids = np.random.default_rng(seed).integers(1, 50, (batch, tokens))
    own = np.maximum(length - np.arange(batch), 1)[:, None]
    mask = (np.arange(tokens)[None] < own).astype(np.int64)
    return {"ids": ids, "mask": mask}


def workshop(model: Path, device: Device, folder: Path, *, batch: int = 1) -> Workshop:
    summary = summarize(model, shapes={"tokens": LENGTHS[-1]}, batch=batch)
    queries = [query(n, seed=n, batch=batch) for n in range(1, 17)]
    inputs = {name: np.stack([q[name] for q in queries]) for name in ("ids", "mask")}
    calibration = folder / "calibration.npz"
    write_calibration(Samples(inputs=inputs, labels=None, origin="contract"), calibration)
    return Workshop(
        summary=summary,
        device=device,
        transforms=RECIPES,
        executor=Here(),  # type: ignore[arg-type]
        limits=ChildLimits(),
        calibration=calibration,
        folder=folder / "run" / "variants",
    )


def made(at: Workshop, *chain: Recipe) -> Path:
    outcome = adapt(original_variant(at.summary), chain, **vars(at))
    assert isinstance(outcome, Variant), outcome
    return variant_path(outcome, at.folder.parent)


def bucket(length: int) -> int:
    return next(n for n in LENGTHS if n >= length)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_trimmed_model_answers_as_the_whole_and_zeros_follow(
    backend: str, batch: int, tmp_path: Path, device: Device
) -> None:
    at = workshop(write_masked_encoder(tmp_path / "m.onnx"), device, tmp_path)
    fixed = FixShapes(batch=batch)
    whole = RUNTIMES[backend].load(made(at, fixed), FLOAT[backend])
    trimmed = RUNTIMES[backend].load(made(at, fixed, FuseAttention(), TRIM), FLOAT[backend])
    for length in range(LENGTHS[-1] + 1):
        asked = query(length, batch=batch)
        if not length:
            asked["mask"][:] = 0
        expected, found = (s.run(asked) for s in (whole, trimmed))
        taken = -(-length // STEP) * STEP or LENGTHS[-1]
        np.testing.assert_allclose(
            found["states"][:, :taken], expected["states"][:, :taken], rtol=2e-4, atol=2e-5
        )
        np.testing.assert_allclose(found["pooled"], expected["pooled"], rtol=2e-4, atol=2e-5)
        assert not found["states"][:, taken:].any()


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("shorter", [TRIM, BUCKETS], ids=["trim", "buckets"])
def test_parts_of_a_query_are_cut_each_to_its_own_length(
    backend: str, shorter: Recipe, tmp_path: Path, device: Device
) -> None:
    at = workshop(write_masked_encoder(tmp_path / "m.onnx"), device, tmp_path, batch=4)
    whole = RUNTIMES[backend].load(made(at, FixShapes()), FLOAT[backend])
    path = made(at, FixShapes(parts=2), Simplify(), FuseAttention(), shorter)
    settings = Settings(precision="float32", parts=2)
    parted = RUNTIMES[backend].load(path, settings)
    for length in (1, 3, 8, 16):
        asked = query(length, batch=4)
        expected, found = (s.run(asked) for s in (whole, parted))
        own = max(length, 1)
        np.testing.assert_allclose(
            found["states"][0, :own], expected["states"][0, :own], rtol=2e-4, atol=2e-5
        )
        np.testing.assert_allclose(found["pooled"], expected["pooled"], rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("body", [Int8Static(), Int8Dynamic()])
def test_int8_of_a_part_is_calibrated_on_parts(
    body: Recipe, tmp_path: Path, device: Device
) -> None:
    at = workshop(write_masked_encoder(tmp_path / "m.onnx"), device, tmp_path, batch=2)
    whole = RUNTIMES["onnxruntime"].load(made(at, FixShapes(), body), FLOAT["onnxruntime"])
    path = made(at, FixShapes(parts=2), body)
    parted = RUNTIMES["onnxruntime"].load(path, Settings(parts=2))
    asked = query(LENGTHS[-1], batch=2)
    expected, found = (s.run(asked)["pooled"] for s in (whole, parted))
    # dynamic ranges are of a part; static ones of the same data
    assert np.linalg.norm(found - expected) < 0.02 * np.linalg.norm(expected)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("attention", [(), (FuseAttention(),)], ids=["products", "operator"])
@pytest.mark.parametrize("shorter", [TRIM, BUCKETS], ids=["trim", "buckets"])
def test_a_model_of_which_one_token_is_read_spares_padding_too(
    backend: str, attention: tuple[Recipe, ...], shorter: Recipe, tmp_path: Path, device: Device
) -> None:
    model = onnx.load(write_masked_encoder(tmp_path / "m.onnx"))
    del model.graph.output[0]
    onnx.save(model, tmp_path / "m.onnx")
    at = workshop(tmp_path / "m.onnx", device, tmp_path)
    whole = RUNTIMES[backend].load(made(at, FixShapes()), FLOAT[backend])
    path = made(at, FixShapes(), Simplify(), *attention, shorter)
    found = RUNTIMES[backend].load(path, FLOAT[backend])
    assert any(node.op_type == "Slice" for node in _nodes(onnx.load(path).graph))
    for length in range(1, LENGTHS[-1] + 1):
        asked = query(length)
        np.testing.assert_allclose(
            found.run(asked)["pooled"], whole.run(asked)["pooled"], rtol=2e-4, atol=2e-5
        )


@pytest.mark.parametrize("body", [Int8Static(), Int8Dynamic(), Fp16Weights(), Int8Weights()])
def test_bodies_go_on_a_trimmed_model(body: Recipe, tmp_path: Path, device: Device) -> None:
    at = workshop(write_masked_encoder(tmp_path / "m.onnx"), device, tmp_path)
    whole = RUNTIMES["onnxruntime"].load(made(at, FixShapes()), FLOAT["onnxruntime"])
    path = made(at, FixShapes(), FuseAttention(), TRIM, body)
    trimmed = RUNTIMES["onnxruntime"].load(path, FLOAT["onnxruntime"])
    for length in (3, 16):
        expected, found = (s.run(query(length))["pooled"] for s in (whole, trimmed))
        assert np.linalg.norm(found - expected) <= 0.1 * np.linalg.norm(expected)


def test_the_length_is_told_from_another_size_that_happens_to_be_equal(
    tmp_path: Path, device: Device
) -> None:
    model = write_masked_encoder(tmp_path / "m.onnx")
    summary = summarize(model, shapes={"tokens": HIDDEN}, batch=1)
    at = replace(workshop(model, device, tmp_path), summary=summary)
    trim = TRIM.model_copy(update={"lengths": (8, 16, HIDDEN)})
    whole = RUNTIMES["onnxruntime"].load(made(at, FixShapes()), FLOAT["onnxruntime"])
    path = made(at, FixShapes(), FuseAttention(), trim)
    trimmed = RUNTIMES["onnxruntime"].load(path, FLOAT["onnxruntime"])
    for length in (5, 16, HIDDEN):
        asked = query(length, tokens=HIDDEN)
        expected, found = (s.run(asked)["states"][:, :length] for s in (whole, trimmed))
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


def test_a_constant_that_changes_with_the_length_in_an_unknown_way_keeps_it(
    tmp_path: Path,
) -> None:
    for length in LENGTHS:
        model = onnx.load(write_masked_encoder(tmp_path / f"{length}.onnx", tokens=length))
        scale = next(w for w in model.graph.initializer if w.name == "one")
        scale.CopyFrom(numpy_helper.from_array(np.float32(length), "one"))
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 1
        onnx.save(model, tmp_path / f"{length}.onnx")
    parts = {length: tmp_path / f"{length}.onnx" for length in LENGTHS}
    with pytest.raises(ModelRefused, match="'one' changes with the length") as error:
        trim_padding(parts, tmp_path / "out.onnx", mask="mask")
    assert error.value.code == "FW248"
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("batch", [1, 2])
def test_every_length_answers_as_the_whole_and_zeros_follow(
    backend: str, batch: int, tmp_path: Path, device: Device
) -> None:
    at = workshop(write_masked_encoder(tmp_path / "m.onnx"), device, tmp_path)
    fixed = FixShapes(batch=batch)
    whole = RUNTIMES[backend].load(made(at, fixed), FLOAT[backend])
    joined = RUNTIMES[backend].load(made(at, fixed, BUCKETS), FLOAT[backend])
    for length in range(1, LENGTHS[-1] + 1):
        expected, found = (s.run(query(length, batch=batch)) for s in (whole, joined))
        taken = bucket(length)
        np.testing.assert_allclose(
            found["states"][:, :taken], expected["states"][:, :taken], rtol=2e-4, atol=2e-5
        )
        np.testing.assert_allclose(found["pooled"], expected["pooled"], rtol=2e-4, atol=2e-5)
        assert not found["states"][:, taken:].any()


def test_a_query_of_padding_alone_takes_the_whole(tmp_path: Path, device: Device) -> None:
    at = workshop(write_masked_encoder(tmp_path / "m.onnx"), device, tmp_path)
    session = RUNTIMES["onnxruntime"].load(made(at, FixShapes(), BUCKETS), FLOAT["onnxruntime"])
    empty = query(1) | {"mask": np.zeros((1, LENGTHS[-1]), np.int64)}
    assert session.run(empty)["states"][:, -1].any()


def test_weights_are_stored_once(tmp_path: Path, device: Device) -> None:
    at = workshop(write_masked_encoder(tmp_path / "m.onnx"), device, tmp_path)
    graph = onnx.load(made(at, FixShapes(), BUCKETS)).graph
    large = [w for w in graph.initializer if len(w.raw_data) > 1024]
    assert len(large) == 3  # the table of tokens and two projections


@pytest.mark.parametrize(
    "chain", [(FuseAttention(),), (Int8Static(),), (FuseAttention(), Int8Dynamic())]
)
def test_other_recipes_are_applied_at_every_length(
    chain: tuple[Recipe, ...], tmp_path: Path, device: Device
) -> None:
    at = workshop(write_masked_encoder(tmp_path / "m.onnx"), device, tmp_path)
    whole = RUNTIMES["onnxruntime"].load(made(at, FixShapes()), FLOAT["onnxruntime"])
    path = made(at, FixShapes(), *chain, BUCKETS)
    joined = RUNTIMES["onnxruntime"].load(path, FLOAT["onnxruntime"])
    kinds = [n.op_type for n in _nodes(onnx.load(path).graph)]
    wanted = "Attention" if FuseAttention() in chain else "QuantizeLinear"
    assert kinds.count(wanted) >= len(LENGTHS)
    for length in (2, 7, 16):
        expected, found = (s.run(query(length))["pooled"] for s in (whole, joined))
        assert np.linalg.norm(found - expected) <= 0.1 * np.linalg.norm(expected)


def _nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    inner = [n for node in graph.node for a in node.attribute if a.HasField("g") for n in
             _nodes(a.g)]  # fmt: skip
    return [*graph.node, *inner]


def test_a_length_that_cannot_be_made_is_a_reason(tmp_path: Path, device: Device) -> None:
    at = workshop(write_masked_encoder(tmp_path / "m.onnx", tokens=16), device, tmp_path)
    outcome = adapt(original_variant(at.summary), (FixShapes(), BUCKETS), **vars(at))
    assert isinstance(outcome, Skipped)
    assert outcome.reason.startswith("buckets/4/8/16")
    outcome = adapt(original_variant(at.summary), (FixShapes(), TRIM), **vars(at))
    assert isinstance(outcome, Skipped) and "does not take 4 tokens" in outcome.reason


def test_an_older_operator_set_is_refused(tmp_path: Path) -> None:
    model = onnx.load(write_masked_encoder(tmp_path / "m.onnx", tokens=16))
    model.opset_import[0].CopyFrom(helper.make_opsetid("", 12))
    for name in ("a", "b"):
        onnx.save(model, tmp_path / f"{name}.onnx")
    parts = {8: tmp_path / "a.onnx", 16: tmp_path / "b.onnx"}
    with pytest.raises(ModelRefused, match="opset 13") as error:
        merge_lengths(parts, tmp_path / "out.onnx", mask="mask")
    assert error.value.code == "FW248"
    assert not (tmp_path / "out.onnx").exists()

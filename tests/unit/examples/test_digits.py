"""The digits example is what its README and its contract say it is."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import yaml
from numpy.typing import NDArray

from fitwright.records.contract import Contract

DIGITS = Path(__file__).parents[3] / "examples" / "digits"
MODEL = DIGITS / "digits.onnx"


def contract() -> Contract:
    written = yaml.safe_load((DIGITS / "contract.yaml").read_text())
    return Contract.model_validate(written, context={"user": True})


@pytest.fixture(scope="module")
def digits() -> Any:
    spec = importlib.util.spec_from_file_location("digits_example", DIGITS / "digits.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def held_out(digits: Any) -> dict[str, NDArray[Any]]:
    loaded: dict[str, NDArray[Any]] = digits.load()
    return loaded


def right_answers(images: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"image": images})
    return np.asarray(logits.argmax(axis=1) == labels)


def test_contract_is_valid_and_names_files_that_exist() -> None:
    promised = contract()
    assert (DIGITS / promised.model).is_file()
    assert promised.data is not None
    module, function = promised.data.source.split(":")
    assert f"def {function}(" in (DIGITS / f"{module}.py").read_text()


def test_contract_needs_a_smaller_file_than_the_original() -> None:
    size = contract().limits.size
    assert size is not None
    # a quarter is what int8 weights take, a half what fp16 weights take
    assert MODEL.stat().st_size / 4 < size < MODEL.stat().st_size
    assert MODEL.stat().st_size / 2 < size


def test_model_is_valid_onnx_with_a_free_batch() -> None:
    model = onnx.load(MODEL)
    onnx.checker.check_model(model, full_check=True)
    (image,) = model.graph.input
    (logits,) = model.graph.output
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (image, logits)
    }
    assert shapes == {"image": ["batch", 1, 8, 8], "logits": ["batch", 10]}
    # the oldest runtime the package allows (onnxruntime 1.23) reads up to these
    assert model.ir_version <= 10
    assert all(opset.version <= 21 for opset in model.opset_import)


def test_model_says_nothing_about_the_machine_that_made_it() -> None:
    model = onnx.load(MODEL)
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
    texts = re.findall(rb"[\x20-\x7e]{4,}", model.SerializeToString())
    assert [t for t in texts if b"/" in t or b".py" in t] == []


def test_held_out_images_have_the_shape_and_range_the_model_expects(
    held_out: dict[str, NDArray[Any]],
) -> None:
    image, labels = held_out["image"], held_out["labels"]
    assert (image.dtype, image.shape) == (np.float32, (719, 1, 8, 8))
    assert (labels.dtype, labels.shape) == (np.int64, (719,))
    assert (image.min(), image.max()) == (0.0, 1.0)
    assert set(labels.tolist()) == set(range(10))


def test_no_held_out_image_was_trained_on(digits: Any) -> None:
    parts = digits.split()
    trained = {image.tobytes() for image in parts["train_image"]}
    assert len(parts["train_image"]) == 1078
    assert not any(image.tobytes() in trained for image in parts["image"])


def test_model_reads_the_held_out_digits(held_out: dict[str, NDArray[Any]]) -> None:
    right = right_answers(held_out["image"], held_out["labels"])
    assert right.mean() >= 0.97


def test_readme_states_the_count_of_right_answers(held_out: dict[str, NDArray[Any]]) -> None:
    right = int(right_answers(held_out["image"], held_out["labels"]).sum())
    stated = re.search(r"answers (\d+) of the (\d+)", (DIGITS / "README.md").read_text())
    assert stated is not None
    # one image either way: float32 sums differ in the last digit between CPUs
    assert abs(int(stated[1]) - right) <= 1
    assert int(stated[2]) == len(held_out["labels"])

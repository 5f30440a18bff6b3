"""External data is read only from beneath the model's folder, and never by a link."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fitwright.errors import ModelRefused
from fitwright.graph.fix_shapes import fix_shapes
from fitwright.graph.read import read_model
from fitwright.graph.summary import summarize

NEEDED = 4 * 64 * 8


def external(build, *, dims: tuple[int, ...] = (64, 8), **entries: str) -> Path:
    """A model whose weight lies in a data file, as the entries say."""
    entries = {"location": "w.bin"} | entries
    weight = TensorProto(name="w", dims=dims, data_type=1, data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        weight.external_data.add(key=key, value=value)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    return build.save(build.model([node], {"x": [1, 64]}, ["y"], {"w": weight}))


def data(build, name: str = "w.bin", *, size: int = NEEDED) -> Path:
    path: Path = build.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


def code_of(path: Path) -> str:
    with pytest.raises(ModelRefused) as caught:
        read_model(path)
    assert len(str(caught.value).splitlines()) <= 8
    return caught.value.code


def test_data_beside_the_model_is_accepted(build) -> None:
    data(build)
    read_model(external(build))


def test_data_in_a_folder_beneath_is_accepted(build) -> None:
    data(build, "weights/part/w.bin")
    read_model(external(build, location="weights/part/w.bin"))


def test_a_region_of_a_larger_file_is_accepted(build) -> None:
    data(build, size=3 * NEEDED)
    read_model(external(build, offset=str(NEEDED), length=str(NEEDED)))


@pytest.mark.parametrize(
    "location",
    [
        "/etc/hostname",
        "../w.bin",
        "sub/../../w.bin",
        "sub/..",
        "C:\\windows\\win.ini",
        "..\\w.bin",
        "\\\\host\\share",
        "",
        ".",
        "w.bin\0.png",
    ],
)
def test_a_path_out_of_the_folder_is_refused(location: str, build) -> None:
    data(build)
    data(build, "../w.bin")
    assert code_of(external(build, location=location)) == "FW210"


def test_a_symbolic_link_is_refused(build) -> None:
    target = data(build, "real.bin")
    (build.folder / "w.bin").symlink_to(target)
    assert code_of(external(build)) == "FW211"


def test_a_folder_that_is_a_link_is_refused(build, tmp_path_factory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "w.bin").write_bytes(bytes(NEEDED))
    (build.folder / "sub").symlink_to(elsewhere)
    assert code_of(external(build, location="sub/w.bin")) == "FW211"


def test_a_hard_link_is_refused(build, tmp_path_factory) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret"
    secret.write_bytes(bytes(NEEDED))
    os.link(secret, build.folder / "w.bin")
    assert code_of(external(build)) == "FW211"


def test_a_missing_data_file_is_named(build) -> None:
    path = external(build)
    with pytest.raises(ModelRefused, match=r"w\.bin") as caught:
        read_model(path)
    assert caught.value.code == "FW212"


def test_a_directory_or_a_pipe_as_data_is_refused(build) -> None:
    (build.folder / "w.bin").mkdir()
    assert code_of(external(build)) == "FW212"
    os.mkfifo(build.folder / "pipe")
    assert code_of(external(build, location="pipe")) == "FW212"


@pytest.mark.parametrize(
    "entries",
    [
        {"offset": "-1"},
        {"length": "-1"},
        {"offset": str(1 << 70)},
        {"length": str(1 << 62)},
        {"offset": "4"},
        {"length": "8"},
        {"offset": "0x10"},
        {"offset": "٣"},
        {"offset": "1e3"},
        {"surprise": "1"},
    ],
    ids=str,
)
def test_a_region_that_cannot_be_is_refused(entries: dict[str, str], build) -> None:
    data(build)
    assert code_of(external(build, **entries)) == "FW213"


def test_a_data_file_that_is_too_short_is_refused(build) -> None:
    data(build, size=NEEDED - 1)
    assert code_of(external(build)) == "FW213"


def test_a_size_beyond_any_disk_is_refused_before_anything_is_read(build) -> None:
    data(build)
    assert code_of(external(build, dims=(1 << 40, 1 << 20))) == "FW214"


def test_external_data_of_a_constant_in_a_branch_is_checked(build) -> None:
    value = TensorProto(dims=[4], data_type=1, data_location=TensorProto.EXTERNAL)
    value.external_data.add(key="location", value="/etc/passwd")
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["b"], value=value)],
        "b",
        [],
        [onnx.ValueInfoProto(name="b")],
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    model = build.model([node], {"x": [1]}, ["y"], {"c": np.array(True)})
    assert code_of(build.save(model)) == "FW210"


def test_digest_and_size_cover_the_data_file(build) -> None:
    file = data(build)
    path = external(build)
    before = summarize(path, shapes={}, batch=1)
    assert before.size_bytes == path.stat().st_size + NEEDED
    file.write_bytes(b"\1" * NEEDED)
    after = summarize(path, shapes={}, batch=1)
    assert before.sha256 != after.sha256
    assert before.weight_bytes == after.weight_bytes == NEEDED


def test_a_shape_kept_in_external_data_still_steers_the_reshape(build) -> None:
    (build.folder / "s.bin").write_bytes(np.array([4, 16], np.int64).tobytes())
    shape = TensorProto(name="s", dims=[2], data_type=7, data_location=TensorProto.EXTERNAL)
    shape.external_data.add(key="location", value="s.bin")
    node = helper.make_node("Reshape", ["x", "s"], ["y"])
    summary = build.summary(build.model([node], {"x": [1, 64]}, ["y"], {"s": shape}))
    assert summary.outputs[0].shape == (4, 16)


def test_an_edit_takes_external_data_into_the_new_file(build, tmp_path_factory) -> None:
    (build.folder / "w.bin").write_bytes(np.arange(512, dtype=np.float32).tobytes())
    out = tmp_path_factory.mktemp("out") / "model.onnx"
    fix_shapes(external(build), out, bindings={}, inputs=())
    (weight,) = onnx.load(out, load_external_data=False).graph.initializer
    assert onnx.numpy_helper.to_array(weight)[63, 7] == 511
    assert sorted(p.name for p in out.parent.iterdir()) == ["model.onnx"]

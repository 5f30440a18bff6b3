"""What is refused at the door, with which code, and that the message is short and safe."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from effort import counted_calls
from fitwright.errors import Exit, ModelRefused
from fitwright.graph.read import MAX_IR, MAX_OPSET, read_model

Nodes = list[onnx.NodeProto]


def refusal(path: Path) -> ModelRefused:
    with pytest.raises(ModelRefused) as caught:
        read_model(path)
    error = caught.value
    assert error.exit == Exit.MODEL_REFUSED
    assert error.remedy
    assert len(str(error).splitlines()) <= 8
    assert len(str(error)) < 1000
    assert str(error).replace("\n", "").isprintable()
    return error


def relu() -> onnx.NodeProto:
    return helper.make_node("Relu", ["x"], ["y"])


def test_a_sound_model_is_read(build) -> None:
    model = build.model([relu()], {"x": [1, 3]}, ["y"])
    assert read_model(build.save(model)) == model


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.onnx").code == "FW200"


def test_a_directory_is_refused_and_names_the_model_inside(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"x")
    error = refusal(tmp_path)
    assert error.code == "FW201"
    assert "net.onnx" in error.rule


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "FW202"),
    "html": (b"\n<!DOCTYPE html><html><body>404</body></html>", "FW203"),
    "html_bare": (b"<HTML><body>sign in</body></HTML>", "FW203"),
    "lfs": (LFS, "FW204"),
    "pickle": (pickle.dumps({"w": 1}), "FW205"),
    "safetensors": (b"\x40\0\0\0\0\0\0\0" + b'{"w":{"dtype":"F32"}}'.ljust(64), "FW205"),
    "npy": (b"\x93NUMPY\x01\0", "FW205"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(64), "FW205"),
    "gguf": (b"GGUF\x03\0\0\0", "FW205"),
    "json": (b'{"model": 1}', "FW205"),
    "contract": (b"model: net.onnx\n", "FW205"),
    "noise": (bytes(range(200, 256)) * 4, "FW206"),
    "text": (b"hello, this is no model at all", "FW206"),
}


@pytest.mark.parametrize("kind", FILES)
def test_what_is_not_onnx_is_named_by_its_content(kind: str, tmp_path: Path) -> None:
    content, code = FILES[kind]
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert refusal(path).code == code


def test_a_zip_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", b"x")
    assert refusal(path).code == "FW205"


def test_a_named_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    os.mkfifo(path)
    assert refusal(path).code == "FW205"


def test_a_file_beyond_the_limit_of_protobuf_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x0a")
    os.truncate(path, 1 << 31)  # sparse: takes no room on the disk
    assert refusal(path).code == "FW209"


def test_a_file_without_permission_is_refused(build) -> None:
    path = build.save(build.model([relu()], {"x": [1]}, ["y"]))
    path.chmod(0)
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)  # root may read everything; nobody may not
    try:
        assert refusal(path).code == "FW208"
    finally:
        os.seteuid(me)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_off_file_is_refused(share: float, build) -> None:
    weights = {"w": np.zeros((64, 64), np.float32)}
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="a rather long name for one node")
    path = build.save(build.model([node], {"x": [1, 64]}, ["y"], weights))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert refusal(path).code in {"FW206", "FW207", "FW224", "FW227", "FW228"}


@pytest.mark.parametrize("text", [b"Relu", b"thenode", b"theinput", b"thedim", b"thenote"])
def test_names_that_are_not_text_are_refused(text: bytes, build) -> None:
    node = helper.make_node("Relu", ["theinput"], ["y"], name="thenode", doc_string="thenote")
    path = build.save(build.model([node], {"theinput": ["thedim"]}, ["y"]))
    path.write_bytes(path.read_bytes().replace(text, b"\xff" * len(text)))
    assert refusal(path).code == "FW207"


def broken_versions() -> dict[str, tuple[dict[str, int], str]]:
    return {
        "opset": ({"opset": MAX_OPSET + 1}, "FW221"),
        "opset_999": ({"opset": 999}, "FW221"),
        "ir": ({"ir_version": MAX_IR + 1}, "FW222"),
    }


@pytest.mark.parametrize("kind", broken_versions())
def test_newer_onnx_is_refused_with_what_this_reads(kind: str, build) -> None:
    options, code = broken_versions()[kind]
    error = refusal(build.save(build.model([relu()], {"x": [1]}, ["y"], **options)))
    assert error.code == code
    assert str(MAX_OPSET if code == "FW221" else MAX_IR) in error.rule


def test_an_unknown_domain_is_refused_by_name(build) -> None:
    node = helper.make_node("Magic", ["x"], ["y"], domain="com.evil")
    model = build.model([node], {"x": [1]}, ["y"], domains=("com.evil",))
    error = refusal(build.save(model))
    assert error.code == "FW220"
    assert "Magic" in error.rule
    assert "com.evil" in error.rule


def test_an_operator_set_without_a_version_is_refused(build) -> None:
    node = helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")
    assert refusal(build.save(build.model([node], {"x": [1]}, ["y"]))).code == "FW223"


def two(first: list[str], second: list[str]) -> Nodes:
    return [
        helper.make_node("Relu", first[:1], first[1:]),
        helper.make_node("Relu", second[:1], second[1:]),
    ]


GRAPHS: dict[str, tuple[Nodes, list[str], str]] = {
    "dangling": ([helper.make_node("Add", ["x", "ghost"], ["y"])], ["y"], "FW224"),
    "made_twice": (two(["x", "y"], ["x", "y"]), ["y"], "FW225"),
    "shadows_input": ([helper.make_node("Relu", ["x"], ["x"])], ["x"], "FW225"),
    "unsorted": (two(["h", "y"], ["x", "h"]), ["y"], "FW226"),
    "cycle": (two(["b", "a"], ["a", "b"]), ["a"], "FW226"),
    "output_of_nobody": ([relu()], ["z"], "FW227"),
    "no_nodes": ([], ["x"], "FW228"),
    "no_outputs": ([relu()], [], "FW228"),
    "no_operator": ([onnx.NodeProto(input=["x"], output=["y"])], ["y"], "FW223"),
}


@pytest.mark.parametrize("kind", GRAPHS)
def test_a_graph_that_does_not_add_up_is_refused(kind: str, build) -> None:
    nodes, outputs, code = GRAPHS[kind]
    assert refusal(build.save(build.model(nodes, {"x": [1]}, outputs))).code == code


def test_a_dangling_name_inside_a_branch_is_refused(build) -> None:
    branch = helper.make_graph(
        [helper.make_node("Relu", ["ghost"], ["b"])], "b", [], [onnx.ValueInfoProto(name="b")]
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    model = build.model([node], {"x": [1]}, ["y"], {"c": np.array(True)})
    assert refusal(build.save(model)).code == "FW224"


def test_a_branch_may_read_the_enclosing_graph(build) -> None:
    branch = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["b"])], "b", [], [onnx.ValueInfoProto(name="b")]
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    read_model(build.save(build.model([node], {"x": [1]}, ["y"], {"c": np.array(True)})))


TENSORS: dict[str, onnx.TensorProto] = {
    "petabytes_of_nothing": TensorProto(name="w", dims=[1 << 20, 1 << 20], data_type=1),
    "overflowing": TensorProto(name="w", dims=[1 << 62, 1 << 62], data_type=1),
    "negative": TensorProto(name="w", dims=[-4], data_type=1, raw_data=bytes(16)),
    "too_short": TensorProto(name="w", dims=[8], data_type=1, raw_data=bytes(31)),
    "too_long": TensorProto(name="w", dims=[8], data_type=1, raw_data=bytes(33)),
    "typed_too_short": TensorProto(name="w", dims=[8], data_type=1, float_data=[1.0]),
    "no_type": TensorProto(name="w", dims=[1], data_type=0, raw_data=bytes(4)),
    "type_of_the_future": TensorProto(name="w", dims=[1], data_type=99, raw_data=bytes(4)),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_a_constant_that_lies_about_its_size_is_refused(kind: str, build) -> None:
    node = helper.make_node("Add", ["x", "w"], ["y"])
    assert refusal(
        build.save(build.model([node], {"x": [1]}, ["y"], {"w": TENSORS[kind]}))
    ).code in ("FW214",)


def test_a_constant_inside_a_node_is_checked_too(build) -> None:
    node = helper.make_node("Constant", [], ["c"], value=TENSORS["petabytes_of_nothing"])
    add = helper.make_node("Add", ["x", "c"], ["y"])
    assert refusal(build.save(build.model([node, add], {"x": [1]}, ["y"]))).code == "FW214"


def test_a_sparse_constant_whose_dense_form_cannot_exist_is_refused(build) -> None:
    model = build.model([helper.make_node("Add", ["x", "w"], ["y"])], {"x": [1]}, ["y"])
    model.graph.sparse_initializer.add(
        values=TensorProto(name="w", dims=[1], data_type=1, raw_data=bytes(4)),
        indices=TensorProto(dims=[1], data_type=7, raw_data=bytes(8)),
        dims=[1 << 40, 1 << 40],
    )
    assert refusal(build.save(model)).code == "FW214"


def test_packed_and_typed_constants_of_the_right_size_are_read(build) -> None:
    weights = {
        "a": TensorProto(name="a", dims=[3], data_type=TensorProto.INT4, raw_data=bytes(2)),
        "b": TensorProto(name="b", dims=[3], data_type=TensorProto.FLOAT16, int32_data=[0, 0, 0]),
        "c": TensorProto(name="c", dims=[2], data_type=TensorProto.COMPLEX64, float_data=[0] * 4),
        "d": TensorProto(name="d", dims=[2], data_type=TensorProto.STRING, string_data=[b"a", b""]),
    }
    read_model(build.save(build.model([relu()], {"x": [1]}, ["y"], weights)))


def function(name: str, *calls: str) -> onnx.FunctionProto:
    """Calls the named functions in a row; ``Relu`` when none."""
    last, nodes = "a", []
    for i, call in enumerate(calls or ("Relu",)):
        made = "b" if i == max(len(calls), 1) - 1 else f"h{i}"
        nodes.append(
            helper.make_node(call, [last], [made], domain="" if call == "Relu" else "local")
        )
        last = made
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]
    return helper.make_function("local", name, ["a"], ["b"], nodes, opsets)


def with_functions(build, *functions: onnx.FunctionProto) -> Path:
    node = helper.make_node(functions[-1].name, ["x"], ["y"], domain="local")
    model = build.model([node], {"x": [1]}, ["y"], domains=("local",), functions=list(functions))
    return build.save(model)


def test_a_function_bomb_is_counted_and_never_expanded(build) -> None:
    bomb = [function("f0"), *(function(f"f{i}", f"f{i - 1}", f"f{i - 1}") for i in range(1, 25))]
    path = with_functions(build, *bomb)
    assert path.stat().st_size < 4096
    # expanded it has 2**24 nodes
    with counted_calls(at_most=20_000):
        error = refusal(path)
    assert error.code == "FW230"


def test_a_function_that_multiplies_beyond_any_number_is_refused(build) -> None:
    bomb = [function("f0"), *(function(f"f{i}", *[f"f{i - 1}"] * 40) for i in range(1, 60))]
    assert refusal(with_functions(build, *bomb)).code == "FW230"


def test_a_long_chain_of_calls_is_refused_before_it_exhausts_the_stack(build) -> None:
    chain = [function("f0"), *(function(f"f{i}", f"f{i - 1}") for i in range(1, 3000))]
    assert refusal(with_functions(build, *chain)).code == "FW230"


@pytest.mark.parametrize(
    "calls", [{"f": ("f",)}, {"g": ("f",), "f": ("g",)}], ids=["itself", "in_a_circle"]
)
def test_recursive_functions_are_refused(calls: dict[str, tuple[str, ...]], build) -> None:
    functions = [function(name, *inner) for name, inner in calls.items()]
    assert refusal(with_functions(build, *functions)).code == "FW229"


def test_a_function_defined_twice_is_refused(build) -> None:
    assert refusal(with_functions(build, function("f"), function("f"))).code == "FW225"


def test_nested_loops_that_double_the_reading_are_refused(build) -> None:
    body = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["b"])], "b", [], [onnx.ValueInfoProto(name="b")]
    )
    for _ in range(18):
        loop = helper.make_node("Loop", ["n", ""], ["b"], body=body)
        body = helper.make_graph([loop], "b", [], [onnx.ValueInfoProto(name="b")])
    node = helper.make_node("Loop", ["n", ""], ["y"], body=body)
    model = build.model([node], {"x": [1]}, ["y"], {"n": np.array(2)})
    assert refusal(build.save(model)).code == "FW230"


HOSTILE_NAME = "a\n\x1b[31m\r" + "b" * 100_000


def test_a_hostile_name_cannot_flood_or_colour_the_message(build) -> None:
    cases: list[Callable[[], onnx.ModelProto]] = [
        lambda: build.model([helper.make_node("Relu", [HOSTILE_NAME], ["y"])], {"x": [1]}, ["y"]),
        lambda: build.model([relu()], {"x": [1]}, [HOSTILE_NAME]),
        lambda: build.model(
            [helper.make_node(HOSTILE_NAME, ["x"], ["y"], domain=HOSTILE_NAME)], {"x": [1]}, ["y"]
        ),
        lambda: build.model(
            [relu()],
            {"x": [1]},
            ["y"],
            {"w": TensorProto(name=HOSTILE_NAME, dims=[9], data_type=1)},
        ),
    ]
    for case in cases:
        refusal(build.save(case()))

"""What a user can hand over by mistake or malice: one short message, the right exit code,
and a folder as it was before. Each case is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

WIDTH = 4
CONTRACT = "model: m.onnx\ndata: {source: d.npz}\n"


# --- models -------------------------------------------------------------------------------


def linear(*, node_input: str = "x", domain: str = "", op_type: str = "MatMul") -> onnx.ModelProto:
    """y = x @ w, three classes; or something broken in one place."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])
    w = helper.make_tensor("w", TensorProto.FLOAT, [WIDTH, 3], np.linspace(-1, 1, WIDTH * 3))
    node = helper.make_node(op_type, [node_input, "w"], ["y"], domain=domain)
    graph = helper.make_graph([node], "g", [x], [y], [w])
    opsets = [helper.make_opsetid("", 17)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def save(folder: Path, model: onnx.ModelProto | None = None) -> None:
    onnx.save(model or linear(), folder / "m.onnx")


def external(location: str) -> onnx.ModelProto:
    """The weights of `linear` at `location`, relative to the model."""
    model = linear()
    (w,) = model.graph.initializer
    del w.float_data[:]
    w.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("length", str(WIDTH * 3 * 4))):
        w.external_data.add(key=key, value=value)
    return model


def outside(folder: Path) -> None:
    (folder.parent / "w.bin").write_bytes(bytes(WIDTH * 3 * 4))
    (folder / "m.onnx").write_bytes(external("../w.bin").SerializeToString())


def through_a_link(folder: Path) -> None:
    (folder.parent / "w.bin").write_bytes(bytes(WIDTH * 3 * 4))
    (folder / "w.bin").symlink_to(folder.parent / "w.bin")
    (folder / "m.onnx").write_bytes(external("w.bin").SerializeToString())


def truncated(folder: Path) -> None:
    content = linear().SerializeToString()
    (folder / "m.onnx").write_bytes(content[: len(content) // 2])


def bomb(folder: Path) -> None:
    """24 local functions, each calling the next twice: 2**24 operators in 2 KB."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    functions = [
        helper.make_function(
            "f",
            f"f{i}",
            ["a"],
            ["c"],
            [
                helper.make_node(f"f{i + 1}", ["a"], ["b"], domain="f"),
                helper.make_node(f"f{i + 1}", ["b"], ["c"], domain="f"),
            ],
            opsets,
        )
        for i in range(24)
    ]
    negative = [helper.make_node("Neg", ["a"], ["c"])]
    functions.append(helper.make_function("f", "f24", ["a"], ["c"], negative, opsets))
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, WIDTH]) for n in "xy")
    graph = helper.make_graph([helper.make_node("f0", ["x"], ["y"], domain="f")], "g", [x], [y])
    model = helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=10)
    onnx.save(model, folder / "m.onnx")


def gives_nan(folder: Path) -> None:
    model = linear(op_type="MatMul")
    (w,) = model.graph.initializer
    w.float_data[0] = float("nan")
    save(folder, model)


# --- data and contracts -------------------------------------------------------------------


def inputs(num: int = 40) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(num, WIDTH)).astype(np.float32)


def fitted(contract: str, **arrays: np.ndarray) -> Callable[[Path], None]:
    """A sound model with this contract and these arrays."""

    def write(folder: Path) -> None:
        save(folder)
        (folder / "c.yaml").write_text(contract)
        if arrays:
            np.savez(folder / "d.npz", **arrays)

    return write


def with_metric(body: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        contract = "model: m.onnx\ndata: {source: d.npz, metric: my_metric:score}\n"
        labels = np.zeros(40, np.int64)
        fitted(contract, x=inputs(), labels=labels)(folder)
        (folder / "my_metric.py").write_text(f"def score(outputs, labels):\n    {body}\n")

    return write


def nothing_installed(folder: Path) -> None:
    """No backend can be found, as on a machine where none was installed."""
    save(folder)
    (folder / "sitecustomize.py").write_text(
        "import importlib.util as u, importlib.metadata as m\n"
        "found, version = u.find_spec, m.version\n"
        "HIDDEN = ('onnxruntime', 'openvino')\n"
        "def find_spec(name, package=None):\n"
        "    return None if name.split('.')[0] in HIDDEN else found(name, package)\n"
        "def version_(name):\n"
        "    if name in HIDDEN: raise m.PackageNotFoundError(name)\n"
        "    return version(name)\n"
        "u.find_spec, m.version = find_spec, version_\n"
    )


def disk_full(folder: Path) -> None:
    """Every write that is to reach the disk fails for want of space."""
    save(folder)
    (folder / "sitecustomize.py").write_text(
        "import errno, os\n"
        "def fsync(descriptor):\n"
        "    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n"
        "os.fsync = fsync\n"
    )


def text(name: str, content: str | bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return write


def forbidden(folder: Path) -> None:
    save(folder)
    (folder / "m.onnx").chmod(0)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is prepared, what is typed, and how it must end."""

    name: str
    prepare: Callable[[Path], None]
    arguments: tuple[str, ...] = ("c.yaml",)
    exit: int = 2
    code: str
    says: str = ""


MODEL = ("m.onnx",)
LABELS = np.arange(40) % 3
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"

MODELS = [
    Case(name="missing", prepare=lambda _: None, arguments=MODEL, exit=3, code="FW200"),
    Case(name="folder", prepare=lambda p: (p / "m.onnx").mkdir(), arguments=MODEL, exit=3,
         code="FW201"),
    Case(name="empty", prepare=text("m.onnx", ""), arguments=MODEL, exit=3, code="FW202"),
    Case(name="html", prepare=text("m.onnx", "<!DOCTYPE html><html></html>"), arguments=MODEL,
         exit=3, code="FW203"),
    Case(name="lfs", prepare=text("m.onnx", LFS), arguments=MODEL, exit=3, code="FW204",
         says="git lfs pull"),
    Case(name="noise", prepare=text("m.onnx", bytes(range(7, 250))), arguments=MODEL, exit=3,
         code="FW20"),
    Case(name="truncated", prepare=truncated, arguments=MODEL, exit=3, code="FW207"),
    Case(name="dangling", prepare=lambda p: save(p, linear(node_input="nobody")),
         arguments=MODEL, exit=3, code="FW224", says="nobody"),
    Case(name="domain", prepare=lambda p: save(p, linear(domain="my.ops", op_type="Magic")),
         arguments=MODEL, exit=3, code="FW220", says="Magic"),
    Case(name="outside", prepare=outside, arguments=MODEL, exit=3, code="FW210"),
    Case(name="link", prepare=through_a_link, arguments=MODEL, exit=3, code="FW211"),
    Case(name="bomb", prepare=bomb, arguments=MODEL, exit=3, code="FW230"),
    Case(name="nan", prepare=gives_nan, arguments=MODEL, exit=3, code="FW247"),
]  # fmt: skip
CONTRACTS = [
    Case(name="no contract", prepare=lambda _: None, code="FW110"),
    Case(name="contract is a folder", prepare=lambda p: (p / "c.yaml").mkdir(), code="FW110"),
    Case(name="empty contract", prepare=text("c.yaml", ""), code="FW111"),
    Case(name="not yaml", prepare=text("c.yaml", "model: [m.onnx"), code="FW112"),
    Case(name="unknown keys", prepare=fitted("model: m.onnx\nlimts: {}\nprize: 3\n"),
         code="FW113", says="did you mean 'limits'?"),
    Case(name="many mistakes", prepare=fitted("\n".join(f"k{i}: 1" for i in range(30))),
         code="FW113", says="more"),
    Case(name="impossible", prepare=fitted("model: m.onnx\nlimits: {latency_p99: -3 ms}"),
         code="FW113", says="must be above 0"),
    Case(name="contradiction", code="FW114", prepare=fitted(
         "model: m.onnx\ntraffic: {scenario: server, rate: 1/s}\nlimits: {throughput: 2/s}")),
    Case(name="unknown device", prepare=fitted("model: m.onnx\ndevices: [loacl]"), code="FW119"),
    Case(name="unknown symbol", prepare=fitted("model: m.onnx\nshapes: {sequence: 8}"),
         code="FW116"),
]  # fmt: skip
DATA = [
    Case(name="no data file", prepare=fitted(CONTRACT), code="FW130"),
    Case(name="names", prepare=fitted(CONTRACT, a=inputs(), b=inputs()), code="FW143", says="'x'"),
    Case(name="shapes", prepare=fitted(CONTRACT, x=inputs()[:, :3]), code="FW144",
         says="(40, 3)"),
    Case(name="types", prepare=fitted(CONTRACT, x=inputs().astype(np.int64)), code="FW145",
         says="float32"),
    Case(name="labels", prepare=fitted(CONTRACT, x=inputs(), labels=LABELS[:39]), code="FW140",
         says="39 labels for 40 samples"),
    Case(name="one sample", prepare=fitted(CONTRACT, x=inputs(1)), code="FW149"),
    Case(name="nan inputs", prepare=fitted(CONTRACT, x=inputs() * np.nan), code="FW146"),
    Case(name="accuracy without labels", prepare=fitted(
         CONTRACT + "limits: {accuracy: {drop: 0.1}}", x=inputs()), code="FW115"),
    Case(name="unknown metric", prepare=fitted(
         "model: m.onnx\ndata: {source: d.npz, metric: acuracy}", x=inputs(), labels=LABELS),
         code="FW117", says="did you mean 'accuracy'?"),
    Case(name="metric raises", prepare=with_metric("raise RuntimeError('no luck')"),
         code="FW134", says="no luck"),
    Case(name="metric is nan", prepare=with_metric("return float('nan')"),
         code="FW136"),
    Case(name="metric is no number", prepare=with_metric("return 'good'"),
         code="FW135"),
    Case(name="data function raises", prepare=fitted(
         "model: m.onnx\ndata: {source: no_such_module:load}"), code="FW142"),
]  # fmt: skip
MACHINE = [
    Case(name="no backend", prepare=nothing_installed, arguments=MODEL, exit=4, code="FW300"),
    Case(name="no space left", prepare=disk_full, arguments=MODEL, exit=5, code="FW520"),
    Case(name="no permission", prepare=save, arguments=(*MODEL, "--runs", "/sys/fitwright"),
         exit=5, code="FW521"),
    Case(name="runs is a file", prepare=save, arguments=(*MODEL, "--runs", "m.onnx"),
         exit=5, code="FW521"),
]  # fmt: skip


def listing(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if "__pycache__" not in p.parts}


def check(case: Case, folder: Path, cache: Path) -> None:
    case.prepare(folder)
    before = listing(folder)
    done = subprocess.run(
        [sys.executable, "-m", "fitwright", "fit", *case.arguments, "--time", "20s"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "FITWRIGHT_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    shown = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == case.exit, shown
    progress, _, message = done.stderr.partition("error[")
    assert message.startswith(case.code), shown
    assert case.says in " ".join(message.split()), shown
    assert len(message.splitlines()) <= 8, shown
    assert "fitwright explain" in message, shown
    assert "Traceback" not in shown
    assert all(line.startswith("[") for line in progress.splitlines()), shown
    assert done.stdout == "", shown
    assert listing(folder) - before == set()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("case", CONTRACTS[:8], ids=lambda c: c.name)
def test_a_bad_contract_ends_in_one_short_message(case: Case, folder: Path, cache: Path) -> None:
    check(case, folder, cache)


@pytest.mark.slow
@pytest.mark.parametrize("case", [*MODELS, *CONTRACTS[8:], *DATA, *MACHINE], ids=lambda c: c.name)
def test_bad_input_ends_in_one_short_message(case: Case, folder: Path, cache: Path) -> None:
    check(case, folder, cache)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_model_that_may_not_be_read_is_refused(folder: Path, cache: Path) -> None:
    case = Case(name="forbidden", prepare=forbidden, arguments=MODEL, exit=3, code="FW208")
    check(case, folder, cache)

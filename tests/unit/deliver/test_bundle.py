"""The bundle: runs alone, proves itself, and notices any change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fitwright.deliver.bundle import write_bundle
from fitwright.deliver.environment import describe_environment
from fitwright.deliver.manifest import Manifest
from fitwright.deliver.package import copy_bundle
from fitwright.errors import StorageError, UsageError
from fitwright.ports import Tensors
from fitwright.records.plan import Settings
from fitwright.records.recipe import Variant
from fitwright.records.run import FILES, RunFolder
from fitwright.records.trial import Candidate
from fitwright.records.verdict import Verdict

WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3) / 7
TOLERANCE = 1e-4  # float32 against float64 over four additions differs by far less
Deliver = Callable[..., Path]


def save_model(file: Path, *, batch: int = 1) -> None:
    """y = relu(x @ w), with a slash in the output's name as exporters like it."""
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["m"]),
            helper.make_node("Relu", ["m"], ["/head/y"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 4])],
        [helper.make_tensor_value_info("/head/y", TensorProto.FLOAT, [batch, 3])],
        [numpy_helper.from_array(WEIGHTS, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), file)


def queries(*, batch: int = 1) -> tuple[Tensors, Tensors]:
    x = np.random.default_rng(0).normal(size=(6, batch, 4)).astype(np.float32)
    return {"x": x}, {"/head/y": np.maximum(x @ WEIGHTS, 0)}


def variant_of(files: tuple[str, ...], *, ir: bool) -> Variant:
    return Variant(
        id="00000000000f",
        recipes=(),
        file=files[0],
        files=files,
        format="openvino_ir" if ir else "onnx",
        sha256="0" * 64,
        size_bytes=1000,
        backends=("openvino",) if ir else ("onnxruntime", "openvino"),
    )


@pytest.fixture
def deliver(run: RunFolder) -> Deliver:
    """Delivers a real model of this run with a backend and settings."""
    run.write(describe_environment("fitwright fit model.onnx"))

    def delivered(
        files: tuple[str, ...] = ("variants/f/model.onnx",),
        *,
        backend: str = "onnxruntime",
        settings: Settings | None = None,
        expected: Tensors | None = None,
        ir: bool = False,
        batch: int = 1,
    ) -> Path:
        chosen = Settings() if settings is None else settings
        inputs, right = queries(batch=batch)
        return write_bundle(
            run,
            candidate=Candidate(
                variant_id="00000000000f", title="original", backend=backend, settings=chosen
            ),
            variant=variant_of(files, ir=ir),
            model_folder=run.path,
            inputs=inputs,
            expected=expected or right,
            tolerance=TOLERANCE,
        )

    folder = run.path / "variants" / "f"
    folder.mkdir(parents=True)
    save_model(folder / "model.onnx")
    return delivered


def run_it(bundle: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """In a fresh interpreter, from another folder, with no Fitwright on its path."""
    hidden = "import sys; sys.modules['fitwright'] = None; sys.argv = sys.argv[1:]; import runpy; "
    code = f"{hidden}runpy.run_path(sys.argv[0], run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-c", code, str(bundle / "run.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        cwd="/",
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_the_bundle_passes_its_own_test_without_fitwright(deliver: Deliver) -> None:
    done = run_it(deliver(), "--self-test")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["self_test"] == "passed"
    assert told["relative_l2"] <= TOLERANCE
    assert told["queries"] == 4
    assert done.stderr == ""


@pytest.mark.parametrize(
    "settings",
    [
        Settings(threads=1, graph_optimization="basic", memory_arena=False, spinning=False),
        Settings(mode="throughput", streams=2),
    ],
    ids=Settings.describe,
)
def test_onnxruntime_settings_are_taken_over(deliver: Deliver, settings: Settings) -> None:
    done = run_it(deliver(settings=settings), "--self-test")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def openvino() -> Iterator[ModuleType]:
    saved = sys.modules.get("openvino_telemetry")
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # reports nothing
    yield pytest.importorskip("openvino")
    if saved is not None:
        sys.modules["openvino_telemetry"] = saved


def test_openvino_runs_its_own_format(
    deliver: Deliver, run: RunFolder, openvino: ModuleType
) -> None:
    folder = run.path / "variants" / "f"
    model = openvino.Core().read_model(folder / "model.onnx")
    openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
    files = ("variants/f/model.xml", "variants/f/model.bin")
    settings = Settings(threads=1, mode="latency", precision="float32")
    bundle = deliver(files, backend="openvino", ir=True, settings=settings)
    assert sorted(p.name for p in (bundle / "model").iterdir()) == ["model.bin", "model.xml"]
    done = run_it(bundle, "--self-test")
    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)["outputs"]) == ["/head/y"]


def test_openvino_runs_onnx(deliver: Deliver, openvino: ModuleType) -> None:
    done = run_it(deliver(backend="openvino", settings=Settings(precision="float32")))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outputs"]["/head/y"]["shape"] == [4, 1, 3]


@pytest.mark.parametrize("name", ["model/model.onnx", "selftest.npz", "requirements.lock"])
def test_one_flipped_byte_is_noticed_before_anything_runs(deliver: Deliver, name: str) -> None:
    bundle = deliver()
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    done = run_it(bundle, "--self-test")
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {name} is not the file that was measured")
    assert "Traceback" not in done.stderr


def test_a_missing_file_is_named(deliver: Deliver) -> None:
    bundle = deliver()
    (bundle / "model" / "model.onnx").unlink()
    done = run_it(bundle)
    assert (done.returncode, done.stdout) == (3, "")
    assert "model/model.onnx is missing" in done.stderr


def test_a_manifest_that_points_outside_is_refused(deliver: Deliver, tmp_path: Path) -> None:
    bundle = deliver()
    (tmp_path / "digits-1" / "other.onnx").write_bytes(b"x")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][0]["path"] = "../other.onnx"
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    done = run_it(bundle)
    assert done.returncode == 3
    assert "outside the bundle" in done.stderr


def test_an_artefact_that_answers_differently_fails_its_test(deliver: Deliver) -> None:
    wrong = {"/head/y": queries()[1]["/head/y"] + 0.01}
    done = run_it(deliver(expected=wrong), "--self-test")
    assert done.returncode == 1
    assert json.loads(done.stdout)["self_test"] == "failed"


@pytest.mark.parametrize("instances", [1, 2])
def test_a_run_of_several_queries_is_filled_up_and_taken_apart(
    deliver: Deliver, run: RunFolder, tmp_path: Path, instances: int
) -> None:
    save_model(run.path / "variants" / "f" / "model.onnx", batch=4)
    bundle = deliver(settings=Settings(batch=4, instances=instances, threads=1))
    x = np.random.default_rng(1).normal(size=(9, 1, 4)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    command = [sys.executable, str(bundle / "run.py"), "--input", str(tmp_path / "x.npz")]
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "y")], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["queries"], told["runs"]) == (9, 3)
    with np.load(tmp_path / "y") as file:
        np.testing.assert_allclose(file["/head/y"], np.maximum(x @ WEIGHTS, 0), rtol=1e-5)
    assert "takes 4 queries" in (bundle / "README.md").read_text()


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_query_is_cut_into_parts_for_a_model_that_takes_one(
    deliver: Deliver, run: RunFolder, openvino: ModuleType, tmp_path: Path, backend: str
) -> None:
    save_model(run.path / "variants" / "f" / "model.onnx", batch=2)
    x = np.random.default_rng(1).normal(size=(6, 4, 4)).astype(np.float32)
    settings = Settings(parts=2, precision="float32")
    bundle = deliver(settings=settings, batch=4, backend=backend)
    assert json.loads(run_it(bundle, "--self-test").stdout)["self_test"] == "passed"
    np.savez(tmp_path / "x.npz", x=x)
    out = tmp_path / "y"
    done = run_it(bundle, "--input", str(tmp_path / "x.npz"), "--output", str(out))
    assert done.returncode == 0, done.stderr
    with np.load(out) as file:
        np.testing.assert_allclose(file["/head/y"], np.maximum(x @ WEIGHTS, 0), rtol=1e-5)
    assert "cut into 2 parts" in (bundle / "README.md").read_text()


def test_own_inputs_give_own_outputs(deliver: Deliver, tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(9, 1, 4)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    out = tmp_path / "answer"
    done = run_it(deliver(), "--input", str(tmp_path / "x.npz"), "--output", str(out))
    assert done.returncode == 0, done.stderr
    with np.load(out) as file:
        # float32 rounding of four products and sums
        np.testing.assert_allclose(file["/head/y"], np.maximum(x @ WEIGHTS, 0), rtol=1e-5)


def test_one_query_needs_no_axis_in_front(deliver: Deliver, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((1, 4), np.float32))
    done = run_it(deliver(), "--input", str(tmp_path / "x.npz"))
    assert json.loads(done.stdout)["queries"] == 1


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"z": np.zeros((1, 4), np.float32)}, "no array for input 'x'"),
        ({"x": np.zeros((1, 5), np.float32)}, "has shape (1, 5); give (1, 4)"),
        ({"x": np.zeros((1, 4), np.complex64)}, "is complex64; the model takes float32"),
        ({"x": np.zeros((0, 1, 4), np.float32)}, "same number of queries"),
    ],
    ids=["name", "shape", "type", "none"],
)
def test_inputs_that_do_not_fit_are_explained(
    deliver: Deliver, tmp_path: Path, arrays: Tensors, words: str
) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    done = run_it(deliver(), "--input", str(tmp_path / "x.npz"))
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_no_npz_is_explained(deliver: Deliver, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_text("<html>not found</html>")
    done = run_it(deliver(), "--input", str(tmp_path / "x.npz"))
    assert done.returncode == 2
    assert "is not an .npz file with plain arrays" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_backend_is_named_with_the_remedy(deliver: Deliver) -> None:
    code = (
        "import sys, runpy; sys.modules['onnxruntime'] = None; sys.argv = sys.argv[1:]; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(deliver() / "run.py")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 4
    assert "pip install -r requirements.lock" in done.stderr


def test_the_manifest_says_what_ships(deliver: Deliver, run: RunFolder) -> None:
    bundle = deliver(settings=Settings(threads=2))
    manifest = Manifest.from_file(bundle / "manifest.json")
    assert manifest.model == "model/model.onnx"
    assert manifest.settings.threads == 2
    assert [(t.name, t.dtype, t.shape) for t in manifest.inputs] == [("x", "float32", (1, 4))]
    assert [(t.name, t.shape) for t in manifest.outputs] == [("/head/y", (1, 3))]
    names = {f.path for f in manifest.files}
    assert names == {
        "README.md",
        "contract.json",
        "model/model.onnx",
        "requirements.lock",
        "run.py",
        "selftest.npz",
        "verdict.json",
    }
    assert (bundle / "verdict.json").read_text() == run.read(Verdict).to_json()


def test_the_lock_pins_the_backend_numpy_and_what_they_need(deliver: Deliver) -> None:
    lock = (deliver() / "requirements.lock").read_text().splitlines()
    names = [line.split("==")[0] for line in lock]
    assert {"numpy", "onnxruntime"} <= set(names)
    assert names == sorted(names)
    assert "openvino" not in names
    assert all(line.split("==")[1][0].isdigit() for line in lock)


def test_a_new_bundle_replaces_the_old_one_whole(deliver: Deliver, run: RunFolder) -> None:
    first = deliver(settings=Settings(threads=1))
    (first / "left-over").write_text("x")
    assert deliver(settings=Settings(threads=2)) == first
    assert not (first / "left-over").exists()
    assert Manifest.from_file(first / "manifest.json").settings.threads == 2
    assert not list(run.path.glob(".bundle.*"))


def test_what_a_killed_process_left_is_cleared_away(deliver: Deliver, run: RunFolder) -> None:
    (run.path / ".bundle.killed").mkdir()
    deliver()
    assert not list(run.path.glob(".bundle.*"))


def test_a_model_that_cannot_be_copied_leaves_the_old_bundle(
    deliver: Deliver, run: RunFolder
) -> None:
    before = {p: p.read_bytes() for p in deliver().rglob("*") if p.is_file()}
    with pytest.raises(FileNotFoundError):
        deliver(("variants/f/gone.onnx",))
    assert {p: p.read_bytes() for p in run.bundle.rglob("*") if p.is_file()} == before
    assert not list(run.path.glob(".bundle.*"))


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(
    deliver: Deliver, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(StorageError) as caught:
        deliver()
    assert caught.value.code == "FW520"
    assert not run.bundle.exists()
    assert not list(run.path.glob(".bundle.*"))


def test_without_a_verdict_there_is_no_bundle(deliver: Deliver, run: RunFolder) -> None:
    (run.path / FILES[Verdict]).unlink()
    with pytest.raises(UsageError):
        deliver()
    assert not run.bundle.exists()


def test_the_original_is_taken_from_where_it_lies_with_its_data_beside_it(
    deliver: Deliver, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    save_model(folder / "small.onnx")
    model = onnx.load(folder / "small.onnx")
    onnx.save(
        model,
        folder / "big.onnx",
        save_as_external_data=True,
        location="big.bin",
        size_threshold=0,
    )
    bundle = deliver((str(folder / "big.onnx"), str(folder / "big.bin")))
    assert sorted(p.name for p in (bundle / "model").iterdir()) == ["big.bin", "big.onnx"]
    done = run_it(bundle, "--self-test")
    assert done.returncode == 0, done.stderr


def test_bfloat16_outputs_are_stored_as_float32(deliver: Deliver) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    right = queries()[1]["/head/y"]
    bundle = deliver(expected={"/head/y": right.astype(ml_dtypes.bfloat16)})
    with np.load(bundle / "selftest.npz", allow_pickle=False) as file:
        assert file["output_0"].dtype == np.float32


def test_a_carried_bundle_still_passes_its_test(deliver: Deliver, tmp_path: Path) -> None:
    copied = copy_bundle(deliver(), tmp_path / "elsewhere")
    assert copied["model/model.onnx"] > 0
    done = run_it(tmp_path / "elsewhere", "--self-test")
    assert done.returncode == 0, done.stderr


def test_a_bundle_is_never_mixed_into_a_folder_that_exists(
    deliver: Deliver, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(UsageError) as caught:
        copy_bundle(deliver(), tmp_path / "taken")
    assert caught.value.code == "FW108"
    assert list((tmp_path / "taken").iterdir()) == []


@pytest.mark.parametrize("broken", ["model/model.onnx", "manifest.json", "stranger"])
def test_a_bundle_that_was_changed_is_not_carried_anywhere(
    deliver: Deliver, tmp_path: Path, broken: str
) -> None:
    bundle = deliver()
    (bundle / broken).write_bytes(b"{}")
    with pytest.raises(UsageError) as caught:
        copy_bundle(bundle, tmp_path / "elsewhere")
    assert caught.value.code == "FW109"
    assert not (tmp_path / "elsewhere").exists()

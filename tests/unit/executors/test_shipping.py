"""Files that travel with a call: named by content, whole, and never outside their folder."""

from __future__ import annotations

import os
import pickle
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fitwright.backends.onnxruntime.runtime import OnnxRuntime
from fitwright.errors import ModelRefused, TrialFailed
from fitwright.executors import shipping
from fitwright.executors.node import Host
from fitwright.executors.shipping import FileCache
from fitwright.ports import ChildLimits
from fitwright.records.plan import Settings
from fitwright.testing import faults
from fitwright.testing.models import two_layers, write_two_layers

LIMITS = ChildLimits(wall_s=30.0)


def with_external_weights(folder: Path) -> Path:
    """y = x + b, with b in a file of a folder of its own, beside files of other models."""
    (folder / "weights").mkdir(parents=True)
    bias = numpy_helper.from_array(np.arange(4096, dtype=np.float32), "b")
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "b"], ["y"])],
        "add",
        [value("x", TensorProto.FLOAT, [4096])],
        [value("y", TensorProto.FLOAT, [4096])],
        [bias],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file = folder / "model.onnx"
    onnx.save(model, file, save_as_external_data=True, location="weights/b.bin")
    (folder / "another.onnx").write_bytes(b"unrelated")
    (folder / "photo.jpg").write_bytes(b"unrelated")
    return file


def moved(value: object, cache: FileCache, folders: list[Path]) -> object:
    """Through the cache of another machine and unpickled there."""
    packed = shipping.pack(value)
    for name in cache.missing(list(packed.sources)):
        cache.store(name, packed.sources[name].read_bytes())
    mains = [cache.main_file(files) for files in packed.sets]
    return shipping.unpack(packed.body, mains=mains, folders=folders)


def test_a_model_takes_its_external_weights_along_and_nothing_else(tmp_path: Path) -> None:
    model = with_external_weights(tmp_path / "here")
    (files,) = shipping.pack(model).sets
    assert [name for name, _ in files] == ["model.onnx", "weights/b.bin"]
    there = moved(model, FileCache(tmp_path / "there"), [])
    assert isinstance(there, Path)
    assert there.is_relative_to(tmp_path / "there")
    session = OnnxRuntime().load(there, Settings(threads=1))
    found = session.run({"x": np.ones(4096, np.float32)})["y"]
    np.testing.assert_array_equal(found, np.arange(4096) + 1)


def test_an_ir_takes_its_weights_along(tmp_path: Path) -> None:
    for name in ("model.xml", "model.bin", "other.bin"):
        (tmp_path / name).write_text(name)
    assert shipping.companions(tmp_path / "model.xml") == [tmp_path / "model.bin"]


def test_paths_deep_inside_a_value_travel(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    value = {"deep": [(tmp_path / "a.txt", 7)], "absent": tmp_path / "absent"}
    there = moved(value, FileCache(tmp_path / "there"), [])
    assert isinstance(there, dict)
    ((file, number),) = there["deep"]
    assert (file.read_text(), file.name, number) == ("a", "a.txt", 7)
    assert there["absent"] == tmp_path / "absent"  # what does not exist means itself


def test_a_file_is_sent_once(tmp_path: Path) -> None:
    model, cache = with_external_weights(tmp_path / "here"), FileCache(tmp_path / "there")
    first = moved(model, cache, [])
    assert cache.missing(list(shipping.pack(model).sources)) == []
    assert moved(model, cache, []) == first


def test_content_that_was_changed_on_its_way_is_refused(tmp_path: Path) -> None:
    cache = FileCache(tmp_path)
    with pytest.raises(ValueError, match="changed on its way"):
        cache.store("0" * 64, b"something")
    assert cache.missing(["0" * 64]) == ["0" * 64]


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out"])
def test_no_name_leads_out_of_its_folder(tmp_path: Path, name: str) -> None:
    cache = FileCache(tmp_path / "cache")
    (tmp_path / "file").write_bytes(b"content")
    digest = shipping.digest(tmp_path / "file")
    cache.store(digest, b"content")
    with pytest.raises(ValueError, match="leads out"):
        cache.main_file((("main", digest), (name, digest)))
    with pytest.raises(ValueError, match="leads out"):
        shipping.write_contents(tmp_path / "cache", {name: b"content"})
    assert not list(tmp_path.rglob("out"))


def test_files_nobody_asked_for_lately_are_removed(tmp_path: Path) -> None:
    for word in (b"old", b"new"):
        (tmp_path / word.decode()).write_bytes(word)
    digests = [shipping.digest(tmp_path / name) for name in ("old", "new")]
    cache = FileCache(tmp_path / "cache")
    for digest, word in zip(digests, (b"old", b"new"), strict=True):
        cache.store(digest, word)
    long_ago = time.time() - shipping.UNUSED_S - 1
    os.utime(tmp_path / "cache" / "files" / digests[0], (long_ago, long_ago))
    assert FileCache(tmp_path / "cache").missing(digests) == digests[:1]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("FITWRIGHT_CACHE_DIR", str(tmp_path / "node"))
    return Host()


def sent(host: Host, packed: shipping.Packed) -> shipping.Packed:
    for name in host.missing(list(packed.sources)):
        host.store(name, packed.sources[name].read_bytes())
    return packed


def test_a_host_opens_children_and_passes_requests_on(host: Host, tmp_path: Path) -> None:
    model = write_two_layers(tmp_path / "model.onnx")
    packed = sent(host, shipping.pack(model))
    status, (number, load_s, facts) = host.open(
        OnnxRuntime(), packed.sets[0], Settings(threads=1), LIMITS
    )
    assert (status, load_s > 0, facts["device"]) == ("ok", True, "CPU")
    inputs = np.ones((1, 2, 16), np.float32)
    assert host.ask(number, "feed", {"x": inputs}) == ("ok", None)
    _, outputs = host.ask(number, "outputs")
    # float32 sums of 16 and 32 products against float64
    np.testing.assert_allclose(outputs["y"], two_layers(inputs)["y"], rtol=1e-4, atol=1e-5)
    host.close(number)
    host.close(number)  # once more does no harm
    host.end()


def test_what_a_call_writes_comes_back_under_the_paths_of_the_driver(
    host: Host, tmp_path: Path
) -> None:
    (tmp_path / "in.txt").write_text("there")
    out = tmp_path / "out"
    out.mkdir()
    packed = sent(host, shipping.pack((faults.copy_into, (tmp_path / "in.txt", out), {})))
    status, (body, (written,)) = host.call(packed.body, packed.sets, len(packed.folders), LIMITS)
    assert (status, written) == ("ok", {"copy.txt": b"there, from in.txt"})
    found = shipping.unpack(body, mains=packed.mains, folders=packed.folders)
    assert found == out / "copy.txt"
    assert not list(out.iterdir())  # nothing was written behind the driver's back


def test_errors_come_back_as_values_with_their_cause(host: Host) -> None:
    for function, kind in ((faults.segfault, TrialFailed), (faults.raise_refusal, ModelRefused)):
        packed = shipping.pack((function, (), {}))
        status, error = host.call(packed.body, packed.sets, 0, LIMITS)
        assert (status, type(error)) == ("error", kind)
        assert str(pickle.loads(pickle.dumps(error))) == str(error)

"""Both backends keep the contract of a runtime."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fitwright.backends import RUNTIMES
from fitwright.backends.onnxruntime.runtime import OnnxRuntime
from fitwright.backends.openvino.nncf_passes import quantised_static
from fitwright.backends.openvino.runtime import OpenVino
from fitwright.backends.support import num_cores
from fitwright.errors import DataError, PlanError
from fitwright.executors.local import LocalExecutor
from fitwright.ports import ChildLimits, Runtime
from fitwright.records.plan import Settings
from fitwright.testing.models import two_layers, write_two_layers
from fitwright.testing.network import network_events
from fitwright.testing.runtime_contract import (
    FLOAT32_CLOSE,
    RuntimeContract,
    queries,
    relative_l2,
)


class TestOnnxRuntime(RuntimeContract):
    runtime = OnnxRuntime()
    refused = (Settings(instances=2), Settings(precision="float16"))

    def test_settings_can_be_read_back(self, model: Path) -> None:
        asked = Settings(graph_optimization="basic", memory_arena=False, spinning=False)
        facts = self.runtime.load(model, asked).facts()
        assert (facts["graph_optimization"], facts["memory_arena"]) == ("basic", "False")

    def test_throughput_gives_each_core_a_caller(self, model: Path) -> None:
        session = self.runtime.load(model, Settings(mode="throughput"))
        assert session.concurrency == num_cores()
        assert session.facts()["threads"] == "1"


class TestOpenVino(RuntimeContract):
    runtime = OpenVino()
    refused = (
        Settings(instances=2),
        Settings(threads=4096),
        Settings(spinning=False),
        Settings(memory_arena=False),
        Settings(graph_optimization="basic"),
    )

    def test_its_own_format_keeps_the_names_of_the_model(self, model: Path) -> None:
        openvino = pytest.importorskip("openvino")
        converted = model.with_suffix(".xml")
        openvino.save_model(openvino.Core().read_model(str(model)), str(converted))
        x = queries(1, batch=2)[0]
        found = self.runtime.load(converted, self.exact).run({"x": x})
        assert found.keys() == two_layers(x).keys()
        # weights stored as float16 by default: 11 bits
        assert relative_l2(found["y"], two_layers(x)["y"]) < 1e-3

    def test_bfloat16_is_used_where_the_cpu_has_it_and_refused_elsewhere(self, model: Path) -> None:
        openvino = pytest.importorskip("openvino")
        if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            session = self.runtime.load(model, Settings(precision="bfloat16"))
            assert session.facts()["precision"] == "bfloat16"
        else:
            with pytest.raises(PlanError, match="precision=bfloat16"):
                self.runtime.load(model, Settings(precision="bfloat16"))

    def test_a_default_precision_below_float32_shows(self, model: Path) -> None:
        """Answers coarser than float32 come with a fact that says so."""
        session = self.runtime.load(model, Settings())
        x = queries(1, batch=64)[0]
        error = relative_l2(session.run({"x": x})["y"], two_layers(x)["y"])
        # float32 stays below 1e-5, bfloat16 comes to about 3e-3
        assert (error < 1e-4) == (session.facts()["precision"] == "float32")

    def test_throughput_has_more_than_one_request_where_there_is_more_than_one_core(
        self, model: Path
    ) -> None:
        session = self.runtime.load(model, Settings(mode="throughput"))
        assert session.facts()["mode"] == "throughput"
        assert session.concurrency > 1 or num_cores() == 1


PARTS = Settings(precision="float32", parts=2)


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
class TestParts:
    """A model that takes two samples, given queries of four."""

    def test_the_parts_give_the_answer_of_the_whole(self, runtime: Runtime, tmp_path: Path) -> None:
        session = runtime.load(write_two_layers(tmp_path / "m.onnx", batch=2), PARTS)
        for x in queries(5, batch=4):
            found, expected = session.run({"x": x}), two_layers(x)
            assert found.keys() == expected.keys()
            for name, array in found.items():
                assert relative_l2(array, expected[name]) < FLOAT32_CLOSE

    def test_facts_say_so(self, runtime: Runtime, tmp_path: Path) -> None:
        session = runtime.load(write_two_layers(tmp_path / "m.onnx", batch=2), PARTS)
        facts = session.facts()
        assert (facts["parts"], facts["streams"], session.concurrency) == ("2", "2", 1)
        if runtime.name == "onnxruntime":
            assert facts["threads"] == str(max(1, num_cores() // 2))

    def test_it_may_be_called_from_many_threads(self, runtime: Runtime, tmp_path: Path) -> None:
        session = runtime.load(write_two_layers(tmp_path / "m.onnx", batch=2), PARTS)
        xs = queries(16, batch=4)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda x: session.run({"x": x})["y"], xs))
        for x, y in zip(xs, found, strict=True):
            assert relative_l2(y, two_layers(x)["y"]) < FLOAT32_CLOSE

    @pytest.mark.parametrize("given", ["odd", "name", "other size"])
    def test_what_does_not_fit_is_refused_and_the_next_query_answered(
        self, runtime: Runtime, tmp_path: Path, given: str
    ) -> None:
        session = runtime.load(write_two_layers(tmp_path / "m.onnx", batch=2), PARTS)
        x = queries(1, batch=4)[0]
        wrong = {"odd": {"x": x[:3]}, "name": {"z": x}, "other size": {"x": np.repeat(x, 2, 0)}}
        with pytest.raises(DataError):
            session.run(wrong[given])
        assert relative_l2(session.run({"x": x})["y"], two_layers(x)["y"]) < FLOAT32_CLOSE


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
def test_loading_reaches_for_no_network(runtime: Runtime, tmp_path: Path) -> None:
    model = write_two_layers(tmp_path / "model.onnx")
    limits = ChildLimits(wall_s=60.0)
    seen = LocalExecutor().call(network_events, limits, runtime.load, model, Settings())
    assert seen == []


def test_a_reach_for_the_network_is_seen() -> None:
    """Otherwise the test above could not fail."""
    resolve = socket.getaddrinfo
    seen = LocalExecutor().call(network_events, ChildLimits(), resolve, "localhost", 80)
    assert len(seen) == 1


@pytest.mark.slow
def test_quantising_with_nncf_reaches_for_no_network(tmp_path: Path) -> None:
    """NNCF reports its use by default, without asking; Fitwright never lets it."""
    pytest.importorskip("openvino")
    model = write_two_layers(tmp_path / "model.onnx")
    calibration = tmp_path / "calibration.npz"
    np.savez(calibration, x=queries(4, batch=1))
    quantise = partial(
        quantised_static,
        model,
        tmp_path / "model.xml",
        calibration=calibration,
        method="minmax",
        transformer=False,
    )
    assert LocalExecutor().call(network_events, ChildLimits(), quantise) == []
    assert (tmp_path / "model.xml").stat().st_size > 0

"""What every backend that runs models must do. A backend's own test is three lines::

class TestOnnxRuntime(RuntimeContract):
    runtime = OnnxRuntime()
"""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from onnx import TensorProto

from fitwright.errors import DataError, PlanError, TrialFailed
from fitwright.ports import Array, Runtime, Session
from fitwright.records.plan import Settings
from fitwright.testing.models import two_layers, write_two_layers

FACTS = {"device", "precision", "threads", "concurrency", "version"}
# float32 has 24 bits; 32 products summed in any order lose a few of them
FLOAT32_CLOSE = 1e-5
# bfloat16 has 8 bits: half a step is 0.4 %, and two layers add up
DEFAULT_CLOSE = 2e-2


def relative_l2(found: Array, expected: Array) -> float:
    """Distance of two arrays over the length of the second."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def queries(number: int, *, batch: int) -> Array:
    """Different inputs, always the same."""
    shape = (number, batch, 16)
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


class RuntimeContract:
    """Subclass it, set `runtime`, and pytest does the rest.

    Attributes:
        exact: settings that keep a float32 model in float32.
        refused: settings this runtime must refuse here.
    """

    runtime: ClassVar[Runtime]
    exact: ClassVar[Settings] = Settings(precision="float32")
    refused: ClassVar[tuple[Settings, ...]] = (Settings(instances=2),)

    @pytest.fixture(autouse=True)
    def _available(self) -> None:
        if missing := self.runtime.availability().missing:
            pytest.skip(f"{self.runtime.name} is not here; {missing}")

    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        """Any batch size."""
        return write_two_layers(tmp_path / "model.onnx")

    @pytest.fixture
    def session(self, model: Path) -> Session:
        """In float32."""
        return self.runtime.load(model, self.exact)

    def test_it_says_its_version_without_being_imported(self) -> None:
        assert self.runtime.availability().version

    def test_it_survives_pickling(self) -> None:
        assert pickle.loads(pickle.dumps(self.runtime)) == self.runtime

    @pytest.mark.parametrize("batch", [1, 3])
    def test_float32_answers_are_those_of_numpy(self, session: Session, batch: int) -> None:
        x = queries(1, batch=batch)[0]
        found, expected = session.run({"x": x}), two_layers(x)
        assert found.keys() == expected.keys()
        for name, array in found.items():
            assert array.dtype == np.float32
            assert relative_l2(array, expected[name]) < FLOAT32_CLOSE

    def test_defaults_stay_close(self, model: Path) -> None:
        x = queries(1, batch=2)[0]
        found = self.runtime.load(model, Settings()).run({"x": x})
        assert relative_l2(found["y"], two_layers(x)["y"]) < DEFAULT_CLOSE

    def test_a_fixed_batch_is_kept(self, tmp_path: Path) -> None:
        session = self.runtime.load(write_two_layers(tmp_path / "m.onnx", batch=2), self.exact)
        assert session.run({"x": queries(1, batch=2)[0]})["y"].shape == (2, 5)
        with pytest.raises(DataError):
            session.run({"x": queries(1, batch=3)[0]})

    def test_later_runs_leave_earlier_outputs_and_all_inputs_alone(self, session: Session) -> None:
        first, second = queries(2, batch=1)
        kept, given = session.run({"x": first}), first.copy()
        copies = {name: array.copy() for name, array in kept.items()}
        session.run({"x": second})
        for name, array in kept.items():
            np.testing.assert_array_equal(array, copies[name])
        np.testing.assert_array_equal(first, given)

    def test_it_may_be_called_from_many_threads(self, model: Path) -> None:
        session = self.runtime.load(model, self.exact.merged(Settings(streams=2)))
        assert session.concurrency == 2
        xs = queries(16, batch=1)
        expected = [two_layers(x)["y"] for x in xs]
        # more callers than the session is made for must wait, not fail
        with ThreadPoolExecutor(4) as pool:
            for _ in range(20):
                found = pool.map(lambda x: session.run({"x": x})["y"], xs)
                for one, right in zip(found, expected, strict=True):
                    assert relative_l2(one, right) < FLOAT32_CLOSE

    def test_facts_say_where_and_how_it_runs(self, session: Session) -> None:
        assert session.facts().keys() >= FACTS
        assert all(session.facts().values())

    def test_threads_are_honoured(self, model: Path) -> None:
        session = self.runtime.load(model, Settings(threads=1))
        assert session.facts()["threads"] == "1"

    def test_float32_is_honoured(self, session: Session) -> None:
        assert session.facts()["precision"] == "float32"

    def test_settings_it_cannot_honour_are_refused(self, model: Path) -> None:
        for settings in self.refused:
            with pytest.raises(PlanError) as caught:
                self.runtime.load(model, settings)
            assert caught.value.remedy, settings

    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"wrong": np.zeros((1, 16), np.float32)},
            {"x": np.zeros((1, 16), np.float32), "more": np.zeros(1, np.float32)},
            {"x": np.zeros((1, 17), np.float32)},
            {"x": np.zeros(16, np.float32)},
            {"x": np.zeros((1, 16), np.float64)},
        ],
        ids=["nothing", "other name", "one too many", "size", "rank", "type"],
    )
    def test_inputs_that_do_not_fit_are_refused(
        self, session: Session, given: dict[str, Array]
    ) -> None:
        session.run({"x": queries(1, batch=1)[0]})  # whatever is remembered must not be reused
        with pytest.raises(DataError, match="x"):
            session.run(given)

    @pytest.mark.parametrize("out", [TensorProto.FLOAT16, TensorProto.INT64, TensorProto.BOOL])
    def test_other_number_types_come_out_as_they_are(self, tmp_path: Path, out: int) -> None:
        x = queries(1, batch=1)[0]
        session = self.runtime.load(write_two_layers(tmp_path / "m.onnx", out=out), self.exact)
        expected = two_layers(x)["y"]
        found = session.run({"x": x})["y"]
        assert (
            found.dtype.kind
            == {"FLOAT16": "f", "INT64": "i", "BOOL": "b"}[TensorProto.DataType.Name(out)]
        )
        # float16 has 11 bits
        wanted = expected.astype(found.dtype)
        np.testing.assert_allclose(found.astype(float), wanted.astype(float), rtol=2e-3)

    def test_a_type_that_numpy_lacks_is_refused(self, tmp_path: Path) -> None:
        path = write_two_layers(tmp_path / "m.onnx", out=TensorProto.BFLOAT16)
        with pytest.raises((PlanError, TrialFailed)):
            self.runtime.load(path, self.exact)

    @pytest.mark.parametrize("content", [None, b"", b"<html>no model</html>"])
    def test_a_file_that_is_no_model_fails_as_a_value(
        self, tmp_path: Path, content: bytes | None
    ) -> None:
        path = tmp_path / "broken.onnx"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(TrialFailed) as caught:
            self.runtime.load(path, self.exact)
        assert caught.value.cause == "raised"
        assert len(caught.value.detail) <= 300
        assert "\n" not in caught.value.detail

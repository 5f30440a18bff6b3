"""What a run measures corrects what the calibration predicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fitwright.flow.teaching import confronted, taught
from fitwright.records.device import Device
from fitwright.records.evidence import Evidence
from fitwright.records.figure import Figure
from fitwright.records.plan import Settings
from fitwright.records.profile import Profile
from fitwright.records.recipe import Adapted, Int8Static, Recipe, Simplify, Variant
from fitwright.records.trial import Candidate, Trial
from fitwright.select.calibration.calibrate import fingerprint, keep_profile, stored_profile
from fitwright.testing.summaries import matmul, summary

NOTHING = Figure.unavailable("nobody knows")
DEVICE = Device(
    id="local", kind="cpu", name="Made Up", architecture="x86_64", instruction_sets=(),
    num_cores=2, num_threads=2, caches=(), memory_bytes=1 << 30, peaks={}, bandwidth=NOTHING,
    idle_power=NOTHING, loaded_power=NOTHING, software={"openvino": "1"}, backends=("openvino",),
)  # fmt: skip
CONSTANTS = {
    "floor_s": 1e-6, "compute_share": 0.5, "m_half": 1.0, "n_half": 1.0, "k_half": 1.0,
    "bandwidth_factor": 1.0, "softness": 4.0,
}  # fmt: skip
MODEL = summary([matmul()])


def rows() -> tuple[Evidence, ...]:
    return tuple(
        Evidence(
            what="gemm@openvino", dtype=dtype, rung="measured", scope="local",
            constants=CONSTANTS, spread=1.1, num_points=9, source="a test",
        )
        for dtype in ("float32", "int8")
    )  # fmt: skip


def profile() -> Profile:
    return Profile(
        fingerprint=fingerprint(DEVICE), machine="Made Up", software=DEVICE.software,
        peaks={"float32": 1e11, "int8": 4e11}, bandwidth_bytes_per_s=1e10, rows=rows(),
        idle_power=NOTHING, loaded_power=NOTHING, cpu_share=1.0, seconds=1.0,
    )  # fmt: skip


def variant(id_: str, *recipes: Recipe) -> Variant:
    return Variant(
        id=id_, recipes=recipes, file="m", files=("m",), format="onnx", sha256="0", size_bytes=1,
        backends=("openvino",),
    )  # fmt: skip


ADAPTED = Adapted(
    variants=(
        variant("plain"),
        variant("int8", Int8Static(toolkit="nncf")),
        variant("other", Simplify()),
    )
)


def trial(variant_id: str, latency_s: float, **settings: Any) -> Trial:
    return Trial(
        number=1,
        round=1,
        candidate=Candidate(
            variant_id=variant_id, title="t", backend="openvino", settings=Settings(**settings)
        ),
        decision="accepted",
        reason="",
        figures={"latency_p50": Figure.measured(latency_s, unit="s")},
        facts={"precision": "float32"},
    )


def found(*trials: Trial) -> dict[str, float]:
    made = confronted(trials, profile(), summary=MODEL, device=DEVICE, adapted=ADAPTED)
    return {c.dtype: c.measured_s for c in made}


def test_the_plain_model_and_its_static_int8_form_are_confronted() -> None:
    assert found(trial("plain", 2e-3), trial("int8", 1e-3)) == {"float32": 2e-3, "int8": 1e-3}


def test_the_fastest_of_several_settings_counts() -> None:
    assert found(trial("plain", 2e-3), trial("plain", 1.5e-3, threads=2)) == {"float32": 1.5e-3}


@pytest.mark.parametrize(
    "settings", [{"threads": 1}, {"streams": 2}, {"instances": 2}, {"mode": "throughput"}]
)
def test_a_model_that_has_not_the_whole_machine_says_nothing(settings) -> None:
    assert found(trial("plain", 2e-3, **settings)) == {}


def test_what_is_not_predicted_is_not_confronted() -> None:
    assert found(trial("other", 2e-3)) == {}


class Tooling:
    def __init__(self, cache: Path) -> None:
        self.cache, self.console = cache, self
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def test_a_run_refits_the_kept_profile(tmp_path: Path) -> None:
    keep_profile(profile(), cache=tmp_path)
    tools: Any = Tooling(tmp_path)
    taught([trial("plain", 2e-3)], summary=MODEL, device=DEVICE, adapted=ADAPTED, tools=tools)
    kept = stored_profile(DEVICE, cache=tmp_path)
    assert kept is not None
    assert [c.measured_s for c in kept.confronted] == [2e-3]
    assert kept.confronted[0].predicted_s > 0


def test_without_a_profile_nothing_is_written(tmp_path: Path) -> None:
    tools: Any = Tooling(tmp_path)
    taught([trial("plain", 2e-3)], summary=MODEL, device=DEVICE, adapted=ADAPTED, tools=tools)
    assert list(tmp_path.iterdir()) == []

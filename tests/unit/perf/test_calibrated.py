"""Constants measured on this machine: the formula, the fit, the scale from measured models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.perf.calibrated import rows_of, seconds, sizes
from fitwright.perf.calibrated_fit import Point, fitted
from fitwright.perf.graph_time import GraphTime, graph_time, prepare
from fitwright.perf.local import local_sheet, local_table, refitted
from fitwright.perf.work import Work
from fitwright.records.device import Cache, Device
from fitwright.records.estimate import NoData
from fitwright.records.evidence import Evidence
from fitwright.records.figure import Figure
from fitwright.records.profile import Confronted, Profile
from fitwright.testing.summaries import TABLE, matmul, operator, summary

PEAK, BANDWIDTH = 2e11, 2e10
TRUE = {
    "floor_s": 3e-6,
    "compute_share": 0.8,
    "m_half": 6.0,
    "n_half": 30.0,
    "k_half": 10.0,
    "bandwidth_factor": 2.5,
    "softness": 4.0,
}


def gemm(m: int, n: int, k: int) -> Work:
    moved = 4.0 * (m * k + k * n + m * n)
    return Work(
        operator_class="gemm", dtype="float32", flops=2.0 * m * n * k, bytes_moved=moved,
        m=m, n=n, k=k,
    )  # fmt: skip


def row(what: str, dtype: str = "float32", **constants: float) -> Evidence:
    return Evidence(
        what=what, dtype=dtype, rung="measured", scope="local", constants={**TRUE, **constants},
        spread=1.1, num_points=9, source="made up for a test",
    )  # fmt: skip


def profile(*rows: Evidence) -> Profile:
    nothing = Figure.unavailable("no counter", unit="W")
    return Profile(
        fingerprint="f", machine="Made up", software={}, peaks={"float32": PEAK, "int8": 4 * PEAK},
        bandwidth_bytes_per_s=BANDWIDTH, rows=rows, idle_power=nothing, loaded_power=nothing,
        cpu_share=1.0, seconds=1.0,
    )  # fmt: skip


def device() -> Device:
    nothing = Figure.unavailable("nobody knows")
    return Device(
        id="local", kind="cpu", name="Intel Made Up", architecture="x86_64", instruction_sets=(),
        num_cores=2, num_threads=2, caches=(Cache(level=2, bytes=1 << 20),), memory_bytes=1 << 30,
        peaks={"float32": Figure.measured(1e11, unit="FLOP/s")}, bandwidth=nothing,
        idle_power=nothing, loaded_power=nothing, software={}, backends=("openvino",),
    )  # fmt: skip


SHAPES = [
    (m, n, k)
    for m in (1, 8, 64, 512, 2048)
    for n, k in ((64, 64), (256, 256), (768, 768), (3072, 768), (768, 3072), (2048, 2048))
]


def measured(noise: float = 0.0) -> list[Point]:
    draw = np.random.default_rng(3)
    works = [gemm(*shape) for shape in SHAPES]
    times = seconds(sizes(works), TRUE, peak=PEAK, bandwidth=BANDWIDTH)
    factors = np.exp(noise * draw.standard_normal(len(works)))
    return [
        Point(works=(w,), seconds=float(t * f))
        for w, t, f in zip(works, times, factors, strict=True)
    ]


def fit(points: list[Point]) -> Evidence:
    found = fitted(
        points, what="gemm@openvino", dtype="float32", scope="local", peak=PEAK,
        bandwidth=BANDWIDTH, source="a test",
    )  # fmt: skip
    assert found is not None
    return found


def test_the_fit_finds_times_that_the_formula_made() -> None:
    found = fit(measured())
    other = [gemm(197, 384, 1536), gemm(128, 512, 2048), gemm(1, 1024, 1024)]
    expected = seconds(sizes(other), TRUE, peak=PEAK, bandwidth=BANDWIDTH)
    predicted = seconds(sizes(other), found.constants, peak=PEAK, bandwidth=BANDWIDTH)
    # the fit stops at factors of 1.03 per constant; several of them meet in one time
    assert predicted == pytest.approx(expected, rel=0.08)
    assert found.spread < 1.1


def test_the_band_of_a_fit_tells_of_its_noise() -> None:
    assert 1.1 < fit(measured(noise=0.2)).spread < 1.7


def test_two_points_are_no_fit() -> None:
    assert fitted(
        measured()[:2], what="gemm@x", dtype="float32", scope="local", peak=PEAK,
        bandwidth=BANDWIDTH, source="a test",
    ) is None  # fmt: skip


@given(
    st.integers(1, 4096), st.integers(1, 4096), st.integers(1, 4096),
    st.floats(1e9, 1e15), st.floats(1.0, 50.0),
)  # fmt: skip
def test_no_time_is_under_the_peak_and_more_bandwidth_is_never_slower(
    m, n, k, peak, factor
) -> None:
    work = gemm(m, n, k)
    slow = seconds(sizes([work]), TRUE, peak=peak, bandwidth=BANDWIDTH)[0]
    fast = seconds(sizes([work]), TRUE, peak=peak, bandwidth=BANDWIDTH * factor)[0]
    assert fast <= slow * (1 + 1e-12)
    assert slow >= work.flops / peak


def test_calibrated_rows_answer_before_all_others_and_say_so() -> None:
    sheet = local_sheet(device(), profile())
    rows = (row("gemm@openvino"), row("elementwise@openvino"), row("run@openvino", ""))
    prepared = prepare(summary([matmul(), operator("Mystery", 0)]), runtime="openvino")
    found = graph_time(prepared, sheet, (*rows, *TABLE), dtype="float32")
    assert isinstance(found, GraphTime)
    assert found.latency.rung == "measured"
    # the kernels and what the run costs besides
    assert found.latency.value == pytest.approx(float(found.part_s.sum()) + TRUE["floor_s"])


def test_rows_of_another_backend_or_machine_do_not_answer() -> None:
    sheet = local_sheet(device(), profile())
    other = row("gemm@openvino").model_copy(update={"scope": "elsewhere"})
    assert rows_of((row("gemm@onnxruntime"), other), sheet, "openvino") == {}


def test_the_profile_replaces_the_probed_peaks() -> None:
    before, after = local_sheet(device()), local_sheet(device(), profile())
    assert before.peaks["float32"].value == 1e11
    assert after.peaks["float32"].value == PEAK
    assert (after.id, after.family) == ("local", "intel-cpu")


def confronted(model: str, *, off: float) -> Confronted:
    return Confronted(
        model=model, runtime="openvino", dtype="float32", predicted_s=1e-3, measured_s=off * 1e-3
    )


def scale(of: Profile) -> Evidence:
    (found,) = [r for r in local_table(of) if r.what == "model@openvino"]
    return found


def test_measured_models_scale_the_prediction_the_more_the_more_there_are() -> None:
    one = refitted(profile(row("gemm@openvino")), [confronted("a", off=1.5)])
    many = refitted(one, [confronted(f"m{i}", off=1.5) for i in range(20)])
    assert 1 < scale(one).constants["scale"] < scale(many).constants["scale"] < 1.5
    assert scale(many).spread < scale(one).spread


def test_a_model_measured_again_replaces_its_row() -> None:
    once = refitted(profile(row("gemm@openvino")), [confronted("a", off=3.0)])
    again = refitted(once, [confronted("a", off=1.0)])
    assert len(again.confronted) == 1
    assert scale(again).constants["scale"] == 1.0


def test_what_runs_taught_reaches_the_prediction() -> None:
    known = profile(row("gemm@openvino"))
    sheet, prepared = local_sheet(device(), known), prepare(summary([matmul()]), runtime="openvino")
    taught = refitted(known, [confronted(f"m{i}", off=1.5) for i in range(6)])
    plain = graph_time(prepared, sheet, local_table(known), dtype="float32")
    scaled = graph_time(prepared, sheet, local_table(taught), dtype="float32")
    assert isinstance(plain, GraphTime)
    assert isinstance(scaled, GraphTime)
    factor = scale(taught).constants["scale"]
    assert scaled.latency.value == pytest.approx(factor * plain.latency.value)
    assert "6 models measured here" in " ".join(scaled.latency.reasons)


def test_what_was_not_calibrated_is_answered_by_the_ladder() -> None:
    sheet = local_sheet(device(), profile())
    generic = [e.model_copy(update={"scope": "cpu"}) for e in TABLE]
    prepared = prepare(summary([matmul(), operator("Softmax", 0)]), runtime="openvino")
    both = graph_time(prepared, sheet, (row("gemm@openvino"), *generic), dtype="float32")
    assert isinstance(both, GraphTime)
    assert both.rungs == ("measured", "kind")
    assert both.latency.rung == "kind"
    neither = graph_time(prepared, sheet, (row("gemm@openvino"),), dtype="float32")
    assert isinstance(neither, NoData)
    assert "softmax" in neither.reason


def test_an_exponential_behind_a_product_takes_time_though_nothing_moves() -> None:
    sheet = local_sheet(device(), profile())
    table = (row("gemm@openvino"), row("transcendental@openvino"))
    times = []
    for behind in ("Relu", "Tanh"):
        prepared = prepare(summary([matmul(), operator(behind, 0)]), runtime="openvino")
        assert len(prepared.kernels) == 1
        found = graph_time(prepared, sheet, table, dtype="float32")
        assert isinstance(found, GraphTime)
        times.append(found.latency.value)
    moved = 2 * 4 * 64 * 256
    # what the function alone takes, without starting a kernel for it
    assert times[1] - times[0] == pytest.approx(moved / (BANDWIDTH * TRUE["bandwidth_factor"]))

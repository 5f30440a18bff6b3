"""The plan and the settings worth trying."""

from __future__ import annotations

from typing import Any

import pytest

from fitwright.design.plan import design
from fitwright.errors import PlanError
from fitwright.records.contract import Agreement, Budget, Traffic
from fitwright.records.device import Device
from fitwright.records.figure import Figure
from fitwright.records.model import Lifetime, ModelSummary, OperatorCost, TensorInfo
from fitwright.records.need import Limit, Need
from fitwright.records.plan import Parallelism, Placement, Plan, Settings

UNKNOWN = Figure.unavailable("not measured in this test")


def device(*, cores: int = 8, **changes: Any) -> Device:
    facts: dict[str, Any] = {
        "id": "local",
        "kind": "cpu",
        "name": "A CPU",
        "architecture": "x86_64",
        "instruction_sets": ("avx2",),
        "num_cores": cores,
        "num_threads": cores,
        "caches": (),
        "memory_bytes": 1 << 30,
        "peaks": {},
        "bandwidth": UNKNOWN,
        "idle_power": UNKNOWN,
        "loaded_power": UNKNOWN,
        "software": {},
        "backends": ("onnxruntime", "openvino"),
    }
    return Device(**(facts | changes))


def need(*limits: str, traffic: Traffic | None = None) -> Need:
    return Need(
        limits=tuple(Limit(name=n, figure=n, sense="at_most", bound=1.0) for n in limits),
        agreement=Agreement(),
        traffic=traffic or Traffic(),
        budget=Budget(),
        objective="latency_p50",
        percentile=50,
        metric="agreement",
        data_origin="synthetic",
        has_labels=False,
        check_top1=False,
        num_calibration=1,
        num_evaluation=1,
    )


def summary(*, operators: int = 3) -> ModelSummary:
    one = OperatorCost(
        name="",
        kind="Relu",
        flops=0,
        elementwise_flops=1,
        bytes_read=4,
        bytes_written=4,
        weight_bytes=0,
        num_parameters=0,
        activation_bytes=4,
    )
    return ModelSummary(
        path="m.onnx",
        sha256="0",
        size_bytes=1,
        ir_version=10,
        opsets={},
        inputs=(),
        outputs=(),
        bindings={},
        operators=(one,) * operators,
        uncounted=(),
        lifetimes=tuple(
            Lifetime(name=str(i), bytes=100, first=i, last=i + 1) for i in range(operators)
        ),
        num_parameters=0,
        weight_bytes=0,
        peak_activation_bytes=200,
    )


def planned(asked: Need | None = None, on: Device | None = None) -> Plan:
    backends = ["onnxruntime", "openvino"]
    return design(asked or need(), summary(), on or device(), backends=backends)


def tried(plan: Plan, backend: str) -> tuple[Settings, ...]:
    (found,) = (b.settings for b in plan.backends if b.backend == backend)
    return found


def test_one_device_holds_every_operator() -> None:
    plan = planned()
    assert plan.placements == (Placement(device_id="local", first=0, last=2),)
    assert plan.parallelism == Parallelism()
    assert plan.memory.arena_bytes == plan.memory.lower_bound_bytes == 2 * 128


OFFLINE = Traffic(scenario="offline")


def batches(
    traffic: Traffic = OFFLINE,
    *,
    batchable: bool = True,
    peak: float | None = None,
    bytes_: int = 1,
) -> tuple[int, ...]:
    """Of a model of 1 GFLOP, on a device of 1 GiB."""
    model = summary().model_copy(
        update={
            "is_batchable": batchable,
            "peak_activation_bytes": bytes_,
            "operators": (summary().operators[0].model_copy(update={"flops": 10**9}),),
        }
    )
    peaks = {} if peak is None else {"float32": Figure.measured(peak, unit="FLOP/s", source="")}
    on = device(peaks=peaks)
    return design(need(traffic=traffic), model, on, backends=["onnxruntime"]).batches


def test_queries_are_stacked_where_all_are_there_from_the_start() -> None:
    assert batches() == (4, 16, 64)
    assert batches(Traffic()) == ()
    assert batches(Traffic(scenario="server", rate=10)) == ()
    assert batches(Traffic(scenario="offline", scheduler="loadgen")) == ()
    assert batches(batchable=False) == ()


def parts(*sizes: int | str, cores: int = 8, asked: Need | None = None) -> tuple[int, ...]:
    """Of a model with inputs that open with these sizes."""
    inputs = tuple(
        TensorInfo(name=f"x{i}", dtype="float32", shape=(size, 3)) for i, size in enumerate(sizes)
    )
    model = summary().model_copy(update={"inputs": inputs})
    return design(asked or need(), model, device(cores=cores), backends=["openvino"]).parts


def test_a_query_of_several_samples_may_be_cut_into_as_many_parts_as_there_are_cores() -> None:
    assert parts(8) == (2, 4, 8)
    assert parts(8, cores=2) == (2,)
    assert parts(8, cores=1) == ()
    assert parts(24, cores=16) == (2, 6, 12)
    assert parts(6, 9) == (3,)
    assert parts(1) == parts(7, cores=4) == parts("n") == parts() == ()


def test_queries_that_come_together_stay_whole() -> None:
    assert parts(8, asked=need(traffic=Traffic(scenario="server", rate=10))) == ()
    assert parts(8, asked=need("throughput")) == ()


def test_runs_do_not_grow_beyond_memory_or_beyond_use() -> None:
    assert batches(bytes_=8 << 20) == (4, 16)
    assert batches(peak=1e12) == (4, 16, 64)
    assert batches(peak=1e11) == (4, 16)
    assert batches(peak=1e9) == ()


def test_defaults_come_first_on_every_backend() -> None:
    for backend in planned().backends:
        assert backend.settings[0] == Settings()


@pytest.mark.parametrize("cores", [1, 2, 6, 16, 48, 128])
@pytest.mark.parametrize("scenario", ["single_stream", "offline"])
def test_no_settings_are_tried_twice_or_beyond_a_handful(cores: int, scenario: Any) -> None:
    asked = need("peak_memory", "energy", traffic=Traffic(scenario=scenario))
    for backend in planned(asked, device(cores=cores)).backends:
        assert len(set(backend.settings)) == len(backend.settings) <= 8
        stated = [s.threads for s in backend.settings if s.threads]
        assert all(t <= cores for t in stated)


def test_threads_halve_below_the_default_down_to_one() -> None:
    plan = planned(on=device(cores=8))
    threads = [s.threads for s in tried(plan, "openvino") if s.threads]
    assert threads == [4, 2, 1]
    assert plan.num_threads == 8


def test_one_core_leaves_nothing_to_vary_in_threads() -> None:
    plan = planned(on=device(cores=1))
    assert tried(plan, "openvino") == (Settings(),)
    assert all(s.threads is None for s in tried(plan, "onnxruntime"))


def test_hyperthreads_are_tried_where_there_are_any() -> None:
    assert Settings(threads=16) in tried(planned(on=device(num_threads=16)), "openvino")


def test_a_container_quota_is_tried_right_after_the_defaults() -> None:
    plan = planned(on=device(cores=4, cpu_quota=4.5))
    assert tried(plan, "onnxruntime")[1] == tried(plan, "openvino")[1] == Settings(threads=4)


def test_the_arena_is_given_up_only_where_memory_is_limited() -> None:
    off = Settings(memory_arena=False)
    assert off in tried(planned(need("peak_memory")), "onnxruntime")
    assert off not in tried(planned(), "onnxruntime")


def test_spinning_is_given_up_only_where_energy_is_limited() -> None:
    off = Settings(spinning=False)
    assert off in tried(planned(need("energy")), "onnxruntime")
    assert off not in tried(planned(), "onnxruntime")


@pytest.mark.parametrize(
    "asked",
    [need("throughput"), need(traffic=Traffic(scenario="server", rate=10.0))],  # type: ignore[call-arg]
)
def test_throughput_brings_streams_on_both_backends(asked: Need) -> None:
    plan = planned(asked)
    assert any(s.streams for s in tried(plan, "onnxruntime"))
    assert any(s.mode == "throughput" for s in tried(plan, "openvino"))
    assert not any(s.streams for s in tried(planned(), "onnxruntime"))


OFFLINE = Traffic(scenario="offline")


@pytest.mark.parametrize("cores", [2, 4, 6, 16, 64])
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_offline_traffic_brings_instances_that_fit_the_cores(cores: int, backend: str) -> None:
    several = [
        s
        for s in tried(planned(need(traffic=OFFLINE), device(cores=cores)), backend)
        if s.instances > 1
    ]
    assert {s.pinned for s in several} == {None, False}
    for settings in several:
        assert settings.threads is not None
        assert settings.instances * settings.threads <= cores
        assert settings.instances <= 16


@pytest.mark.parametrize(
    "asked",
    [
        need(),
        need("latency_p99"),
        need("throughput", traffic=Traffic(scenario="multi_stream", streams=4)),
        need("latency_p99", traffic=Traffic(scenario="server", rate=10.0)),  # type: ignore[call-arg]
        need(traffic=Traffic(scenario="offline", scheduler="loadgen")),
    ],
    ids=["single", "latency", "multi_stream", "server", "loadgen"],
)
def test_contracts_on_latency_and_loadgen_stay_in_one_process(asked: Need) -> None:
    plan = planned(asked)
    for backend in plan.backends:
        assert all(s.instances == 1 and s.pinned is None for s in backend.settings)


def test_one_core_is_not_divided() -> None:
    plan = planned(need(traffic=OFFLINE), device(cores=1))
    assert all(s.instances == 1 for b in plan.backends for s in b.settings)


def test_float32_is_stated_where_the_default_may_be_bfloat16() -> None:
    stated = Settings(precision="float32")
    assert stated in tried(planned(on=device(instruction_sets=("avx512_bf16",))), "openvino")
    assert stated not in tried(planned(), "openvino")


def test_every_setting_has_its_reason_in_the_notes() -> None:
    plan = planned(need("peak_memory"))
    for backend in plan.backends:
        for settings in backend.settings:
            assert any(
                n.startswith(f"{backend.backend} ({settings.describe()}): ") for n in plan.notes
            )


def test_a_backend_without_a_table_runs_with_its_defaults() -> None:
    plan = design(need(), summary(), device(), backends=["other"])
    assert tried(plan, "other") == (Settings(),)


def test_a_plan_without_backends_is_refused() -> None:
    with pytest.raises(PlanError) as caught:
        design(need(), summary(), device(), backends=[])
    assert caught.value.code == "FW330"


def test_a_model_without_operators_is_placed_nowhere() -> None:
    plan = design(need(), summary(operators=0), device(), backends=["openvino"])
    assert plan.placements == ()
    assert plan.memory.arena_bytes == 0

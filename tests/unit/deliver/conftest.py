"""A run folder as a fit of a small digit reader leaves it: 13 trials, two of them full."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fitwright.records.contract import Contract
from fitwright.records.device import Cache, Device
from fitwright.records.environment import Environment
from fitwright.records.figure import Figure
from fitwright.records.front import Front
from fitwright.records.ledger import Ledger, LedgerEntry
from fitwright.records.model import (
    Lifetime,
    ModelSummary,
    OperatorCost,
    TensorInfo,
    Uncounted,
)
from fitwright.records.need import Analysis, Limit, Need
from fitwright.records.plan import (
    BackendPlan,
    Buffer,
    MemoryPlan,
    Parallelism,
    Placement,
    Plan,
    Settings,
)
from fitwright.records.recipe import (
    Adapted,
    Bf16,
    FixShapes,
    Int4Weights,
    Int8Dynamic,
    Int8Static,
    Skipped,
    Variant,
)
from fitwright.records.run import RunFolder
from fitwright.records.selection import Choice, Refused, Selection
from fitwright.records.trial import Candidate, Comparison, Failure, Trial
from fitwright.records.verdict import LimitVerdict, Relaxation, Verdict
from fitwright.tune.front import front

KIB, MIB = 1 << 10, 1 << 20
HOSTILE = "<script>alert(1)</script>\"'&\u202e\x07<svg onload=x>"


def contract() -> Contract:
    return Contract.model_validate(
        {
            "model": "digits.onnx",
            "data": {"source": "digits:load", "metric": "accuracy"},
            "limits": {
                "latency_p99": "5 ms",
                "peak_memory": "512 MiB",
                "size": "480 KiB",
                "energy": "50 mJ",
                "accuracy": {"drop": 0.01},
            },
            "budget": {"time": "2 min"},
        },
        context={"user": True},
    )


def conv(name: str, channels: tuple[int, int], side: int) -> OperatorCost:
    """3x3 convolution, stride 1, same padding, float32."""
    before, after = channels
    weights, pixels = before * after * 9 + after, side * side
    return OperatorCost(
        name=name,
        kind="Conv",
        flops=2 * before * after * 9 * pixels,
        elementwise_flops=after * pixels,
        bytes_read=4 * (weights + before * pixels),
        bytes_written=4 * after * pixels,
        weight_bytes=4 * weights,
        num_parameters=weights,
        activation_bytes=4 * after * pixels,
    )


def pointwise(name: str, kind: str, num_in: int, num_out: int) -> OperatorCost:
    return OperatorCost(
        name=name,
        kind=kind,
        flops=0,
        elementwise_flops=num_in,
        bytes_read=4 * num_in,
        bytes_written=4 * num_out,
        weight_bytes=0,
        num_parameters=0,
        activation_bytes=4 * num_out,
    )


def gemm(name: str, num_in: int, num_out: int) -> OperatorCost:
    weights = num_in * num_out + num_out
    return OperatorCost(
        name=name,
        kind="Gemm",
        flops=2 * num_in * num_out,
        elementwise_flops=num_out,
        bytes_read=4 * (weights + num_in),
        bytes_written=4 * num_out,
        weight_bytes=4 * weights,
        num_parameters=weights,
        activation_bytes=4 * num_out,
    )


def operators(hostile: str = "") -> tuple[OperatorCost, ...]:
    return (
        conv("/features/0/Conv", (1, 32), 28),
        pointwise("/features/1/Relu", "Relu", 32 * 784, 32 * 784),
        conv("/features/2/Conv", (32, 64), 28),
        pointwise("/features/3/Relu", "Relu", 64 * 784, 64 * 784),
        pointwise("/features/4/MaxPool", "MaxPool", 64 * 784, 64 * 196),
        conv(hostile or "/features/5/Conv", (64, 96), 14),
        pointwise("/features/6/Relu", "Relu", 96 * 196, 96 * 196),
        pointwise("/features/7/MaxPool", "MaxPool", 96 * 196, 96 * 49),
        OperatorCost(
            name="/head/Center",
            kind="CenterCrop",
            domain="example.digits",
            flops=None,
            elementwise_flops=None,
            bytes_read=4 * 96 * 49,
            bytes_written=4 * 96 * 49,
            weight_bytes=0,
            num_parameters=0,
            activation_bytes=4 * 96 * 49,
        ),
        gemm("/head/0/Gemm", 96 * 49, 48),
        pointwise("/head/1/Relu", "Relu", 48, 48),
        gemm("/head/2/Gemm", 48, 10),
        pointwise("/Softmax", "Softmax", 50, 10),
    )


def summary(hostile: str = "") -> ModelSummary:
    rows = operators(hostile)
    return ModelSummary(
        path="digits.onnx",
        sha256="9b6f" * 16,
        size_bytes=1_312_400,
        ir_version=10,
        opsets={"": 18, "example.digits": 1},
        inputs=(TensorInfo(name="image", dtype="float32", shape=(1, 1, 28, 28)),),
        outputs=(TensorInfo(name="scores", dtype="float32", shape=(1, 10)),),
        bindings={"batch": 1},
        operators=rows,
        uncounted=(
            Uncounted(
                kind="CenterCrop",
                domain="example.digits",
                num_operators=1,
                reason="no rule for this domain",
            ),
        ),
        lifetimes=tuple(
            Lifetime(name=f"{r.name}_output", bytes=r.activation_bytes, first=i, last=i + 1)
            for i, r in enumerate(rows)
        ),
        num_parameters=sum(r.num_parameters for r in rows),
        weight_bytes=sum(r.weight_bytes for r in rows),
        peak_activation_bytes=4 * 2 * 64 * 784,
        is_classifier_shape=True,
    )


def limits() -> tuple[Limit, ...]:
    return (
        Limit(name="latency_p99", figure="latency_p99", sense="at_most", bound=0.005, unit="s"),
        Limit(
            name="peak_memory",
            figure="peak_memory",
            sense="at_most",
            bound=512 * MIB,
            unit="bytes",
        ),
        Limit(name="size", figure="size", sense="at_most", bound=480 * KIB, unit="bytes"),
        Limit(name="energy", figure="energy", sense="at_most", bound=0.05, unit="J"),
        Limit(name="accuracy", figure="accuracy_drop", sense="at_most", bound=0.01),
    )


def need() -> Need:
    agreed = contract()
    return Need(
        limits=limits(),
        agreement=agreed.agreement,
        traffic=agreed.traffic,
        budget=agreed.budget,
        objective="latency_p99",
        percentile=99,
        metric="accuracy",
        data_origin="contract",
        has_labels=True,
        check_top1=True,
        num_calibration=359,
        num_evaluation=1438,
        notes=("labels found: accuracy is judged against them",),
    )


def measured(value: float, spread: float, unit: str, *, samples: int = 0) -> Figure:
    return Figure.measured(
        value,
        low=value * (1 - spread),
        high=value * (1 + spread),
        unit=unit,
        num_samples=samples,
        source=f"{samples} runs in a fresh child process" if samples else "one fresh child",
    )


def device() -> Device:
    return Device(
        id="local",
        kind="cpu",
        name="A CPU with 2 cores",
        architecture="x86_64",
        instruction_sets=("avx2", "avx512f", "avx512_bf16", "avx512_vnni"),
        num_cores=2,
        num_threads=2,
        caches=(Cache(level=2, bytes=2 * MIB), Cache(level=3, bytes=32 * MIB, shared_by_cores=2)),
        memory_bytes=24 << 30,
        peaks={
            "float32": measured(183e9, 0.02, "FLOP/s", samples=20),
            "bfloat16": measured(341e9, 0.03, "FLOP/s", samples=20),
            "int8": measured(612e9, 0.04, "FLOP/s", samples=20),
        },
        bandwidth=measured(28.4e9, 0.02, "B/s", samples=20),
        idle_power=Figure.unavailable("no public figure for this part", unit="W"),
        loaded_power=Figure(
            value=70, low=55, high=85, unit="W", label="estimated", source="data sheet"
        ),
        software={"onnxruntime": "1.31.1", "openvino": "2026.4.1"},
        backends=("onnxruntime", "openvino"),
    )


def selection() -> Selection:
    return Selection(
        choices=(
            Choice(
                device=device(),
                floors={
                    "latency_p50": Figure(
                        value=0.000239,
                        unit="s",
                        label="predicted",
                        source="roofline over measured peaks, float32",
                    ),
                    "peak_memory": Figure(
                        value=1.7 * MIB,
                        unit="bytes",
                        label="predicted",
                        source="weights plus live activations",
                    ),
                },
                margins={"latency_p99": 20.9, "peak_memory": 301.0},
                reasons=("the only device asked for",),
            ),
        ),
        refused=(
            Refused(device_id="pico", limit="peak_memory", reason="264 KiB of memory", gap=6.6),
        ),
    )


def memory_plan(num_buffers: int | None = None) -> MemoryPlan:
    """Two slots, used in turn: the best packing of a chain."""
    rows = operators() if num_buffers is None else ()
    buffers, top = [], 4 * 64 * 784
    for i, row in enumerate(rows):
        size = max(64, row.activation_bytes)
        offset = 0 if i % 2 == 0 else top
        buffers.append(
            Buffer(
                name=f"{row.name}_output", bytes=size, offset=offset, first=i, last=min(i + 1, 12)
            )
        )
    for i in range(num_buffers or 0):
        buffers.append(
            Buffer(name=f"b{i}", bytes=64 * (1 + i % 7), offset=64 * (i % 50), first=i, last=i + 3)
        )
    return MemoryPlan(
        arena_bytes=max(b.offset + b.bytes for b in buffers),
        lower_bound_bytes=4 * 2 * 64 * 784 if rows else 64,
        method="greedy by size",
        alignment_bytes=64,
        buffers=tuple(buffers),
    )


def plan() -> Plan:
    return Plan(
        device_id="local",
        placements=(Placement(device_id="local", first=0, last=12),),
        memory=memory_plan(),
        parallelism=Parallelism(),
        backends=(
            BackendPlan(backend="onnxruntime", settings=(Settings(), Settings(threads=1))),
            BackendPlan(backend="openvino", settings=(Settings(), Settings(threads=1))),
        ),
    )


def variant(
    number: int,
    recipes: tuple[FixShapes | Bf16 | Int8Static | Int8Dynamic, ...],
    size_bytes: int,
    *,
    ir: bool = False,
) -> Variant:
    name = f"{number:012x}"
    files = ("model.xml", "model.bin") if ir else ("model.onnx",)
    return Variant(
        id=name,
        recipes=recipes,
        file=f"variants/{name}/{files[0]}",
        files=tuple(f"variants/{name}/{f}" for f in files),
        format="openvino_ir" if ir else "onnx",
        sha256=f"{number:064x}",
        size_bytes=size_bytes,
        backends=("openvino",) if ir else ("onnxruntime", "openvino"),
        seconds=2.4,
        notes=("calibrated on 359 real samples",) if len(recipes) > 1 else (),
    )


VARIANTS = (
    variant(1, (), 1_312_400),
    variant(2, (FixShapes(),), 1_309_800),
    variant(3, (FixShapes(), Bf16()), 1_309_800),
    variant(4, (FixShapes(), Int8Static()), 372_000),
    variant(5, (FixShapes(), Int8Static(toolkit="nncf")), 361_500, ir=True),
    variant(6, (FixShapes(), Int8Dynamic()), 369_000),
)


def adapted() -> Adapted:
    return Adapted(
        variants=VARIANTS,
        skipped=(
            Skipped(
                recipes=(FixShapes(), Int4Weights()),
                reason="no MatMul with at least 32 inputs per block: nothing to store in int4",
            ),
        ),
    )


def candidate(number: int, backend: str, settings: Settings | None = None) -> Candidate:
    chosen = VARIANTS[number - 1]
    return Candidate(
        variant_id=chosen.id,
        title=chosen.title,
        backend=backend,
        settings=settings or Settings(),
    )


def figures(p50_s: float, memory: float, size: float, accuracy: float) -> dict[str, Figure]:
    drop = 0.9833 - accuracy
    return {
        "latency_p50": measured(p50_s, 0.01, "s", samples=400),
        "latency_mean": measured(p50_s * 1.03, 0.012, "s", samples=400),
        "load_time": measured(0.061, 0, "s"),
        "peak_memory": measured(memory, 0, "bytes"),
        "size": measured(size, 0, "bytes"),
        "accuracy": Figure.measured(
            accuracy, low=accuracy - 0.008, high=accuracy + 0.006, num_samples=1438
        ),
        "accuracy_drop": Figure.measured(
            drop, low=drop - 0.0014, high=drop + 0.0014, num_samples=1438
        ),
        "relative_l2": measured(0.0 if drop == 0 else 0.021, 0.1, ""),
        "top1_agreement": Figure.measured(1 - abs(drop), low=0.994, high=1.0, num_samples=1438),
    }


def full_figures(p50_s: float, memory: float, size: float, accuracy: float) -> dict[str, Figure]:
    flops = sum(o.flops or 0 for o in operators())
    moved = sum(o.bytes_read + o.bytes_written for o in operators())
    return figures(p50_s, memory, size, accuracy) | {
        "latency_p90": measured(p50_s * 1.12, 0.015, "s", samples=4000),
        "latency_p95": measured(p50_s * 1.25, 0.02, "s", samples=4000),
        "latency_p99": measured(p50_s * 1.62, 0.028, "s", samples=4000),
        "throughput": measured(1 / (p50_s * 1.03), 0.012, "/s", samples=4000),
        "energy": Figure(
            value=p50_s * 31,
            low=p50_s * 24,
            high=p50_s * 40,
            unit="J",
            label="estimated",
            source="busy time times the data sheet's power",
        ),
        "cost": Figure.unavailable("add 'price: 0.10 USD/h' to the contract", unit="usd"),
        "achieved_flops": measured(flops / p50_s, 0.01, "FLOP/s"),
        "achieved_bandwidth": measured(moved / p50_s, 0.01, "B/s"),
    }


def latencies(p50_s: float, seed: int) -> tuple[float, ...]:
    draws = np.random.default_rng(seed).lognormal(np.log(p50_s), 0.11, 600)
    tail = np.random.default_rng(seed + 1).exponential(0.35 * p50_s, 600)
    late = np.random.default_rng(seed + 2).random(600) < 0.06
    return tuple(float(x) for x in draws + tail * late)


def versus(incumbent: Candidate, ratio: float, outcome: str) -> Comparison:
    return Comparison.model_validate(
        {
            "incumbent": incumbent.key,
            "ratio": ratio,
            "low": ratio * 0.97,
            "high": ratio * 1.03,
            "num_rounds": 24,
            "outcome": outcome,
        }
    )


BASELINE = candidate(1, "onnxruntime")
ARTEFACT = candidate(5, "openvino", Settings(threads=2, mode="latency"))


def trials() -> tuple[Trial, ...]:
    fixed = candidate(2, "onnxruntime")
    bf16 = candidate(3, "openvino", Settings(precision="bfloat16"))
    qdq = candidate(4, "onnxruntime")
    nncf = candidate(5, "openvino")
    rows: list[dict[str, object]] = [
        {"candidate": BASELINE, "decision": "baseline", "p50": 2.61e-3, "size": 1_312_400},
        {
            "candidate": candidate(1, "openvino"),
            "decision": "rejected",
            "reason": "slower than onnxruntime defaults: 0.91×",
            "p50": 2.87e-3,
            "size": 1_312_400,
            "comparison": versus(BASELINE, 0.91, "slower"),
        },
        {
            "candidate": fixed,
            "decision": "rejected",
            "reason": "the same speed within ±1 %",
            "p50": 2.60e-3,
            "size": 1_309_800,
            "comparison": versus(BASELINE, 1.004, "same"),
        },
        {
            "candidate": bf16,
            "decision": "accepted",
            "reason": "faster and accurate enough",
            "p50": 1.52e-3,
            "size": 1_309_800,
            "comparison": versus(BASELINE, 1.72, "faster"),
        },
        {
            "candidate": qdq,
            "decision": "rejected",
            "reason": "slower than the incumbent: 0.79×",
            "p50": 1.93e-3,
            "size": 372_000,
            "comparison": versus(bf16, 0.79, "slower"),
        },
        {
            "candidate": candidate(6, "onnxruntime"),
            "decision": "failed",
            "reason": "the child died",
            "failure": Failure(
                cause="raised", detail="NOT_IMPLEMENTED: Could not find an implementation"
            ),
        },
        {
            "candidate": nncf,
            "decision": "accepted",
            "reason": "faster and accurate enough",
            "p50": 0.98e-3,
            "size": 361_500,
            "comparison": versus(bf16, 1.55, "faster"),
        },
        {
            "candidate": candidate(5, "openvino", Settings(threads=1)),
            "decision": "rejected",
            "reason": "slower than the incumbent: 0.62×",
            "p50": 1.58e-3,
            "size": 361_500,
            "comparison": versus(nncf, 0.62, "slower"),
        },
        {
            "candidate": ARTEFACT,
            "decision": "accepted",
            "reason": "faster by 4 %",
            "p50": 0.94e-3,
            "size": 361_500,
            "comparison": versus(nncf, 1.04, "faster"),
        },
        {
            "candidate": candidate(5, "openvino", Settings(streams=2)),
            "decision": "rejected",
            "reason": "undecided after 64 rounds",
            "p50": 0.95e-3,
            "size": 361_500,
            "comparison": versus(ARTEFACT, 0.99, "undecided"),
        },
        {
            "candidate": candidate(6, "openvino"),
            "decision": "failed",
            "reason": "outputs too far from the original",
            "failure": Failure(
                cause="disagrees", detail="relative L2 distance 0.31, at most 0.05 allowed"
            ),
        },
    ]
    return (*(short_trial(i, row) for i, row in enumerate(rows)), *full_trials(len(rows)))


def short_trial(number: int, row: dict[str, object]) -> Trial:
    p50, size = row.pop("p50", None), row.pop("size", 0)
    own = figures(float(str(p50)), 96 * MIB, float(str(size)), 0.9826) if p50 else {}
    return Trial.model_validate(
        {"number": number, "round": number // 4, "reason": "", "figures": own, "seconds": 4.2} | row
    )


def full_trials(first: int) -> tuple[Trial, Trial]:
    return (
        Trial(
            number=first,
            round=3,
            candidate=BASELINE,
            decision="baseline",
            reason="measured again beside the artefact",
            stage="full",
            figures=full_figures(2.60e-3, 88.2 * MIB, 1_312_400, 0.9833),
            latencies_s=latencies(2.60e-3, 1),
            seconds=14.0,
        ),
        Trial(
            number=first + 1,
            round=3,
            candidate=ARTEFACT,
            decision="accepted",
            reason="ships",
            stage="full",
            figures=full_figures(0.94e-3, 112.4 * MIB, 361_500, 0.9819),
            comparison=versus(BASELINE, 2.77, "faster"),
            latencies_s=latencies(0.94e-3, 5),
            seconds=14.0,
        ),
    )


def verdict() -> Verdict:
    own = full_trials(11)[1].figures
    return Verdict(
        status="met",
        limits=tuple(
            LimitVerdict(limit=limit, figure=own[limit.figure], status="met", gap=0.4)
            for limit in limits()
        ),
        candidate=ARTEFACT,
        baseline=BASELINE,
        speedup=Figure.measured(2.77, low=2.69, high=2.85, source="interleaved, 240 rounds"),
        stop="met",
        num_trials=13,
        seconds=97.0,
        notes=("energy is estimated: this machine lets nobody read its counters",),
    )


def missed_verdict() -> Verdict:
    own = full_trials(11)[1].figures
    tight = limits()[0].model_copy(update={"bound": 0.001})
    cost = Limit(name="cost", figure="cost", sense="at_most", bound=4e-7, unit="usd")
    return verdict().model_copy(
        update={
            "status": "missed",
            "stop": "exhausted",
            "blocking": "latency_p99",
            "limits": (
                LimitVerdict(limit=tight, figure=own["latency_p99"], status="missed", gap=1.52),
                LimitVerdict(
                    limit=cost,
                    figure=own["cost"],
                    status="undecided",
                    note="add 'price: 0.10 USD/h' to the contract",
                ),
            ),
            "relaxations": (
                Relaxation(limit="latency_p99", bound=0.00157, text="latency_p99: 1.57 ms"),
            ),
        }
    )


def ledger() -> Ledger:
    def factor(value: float, source: str) -> Figure:
        return Figure.measured(value, low=value * 0.97, high=value * 1.03, source=source)

    return Ledger(
        entries=(
            LedgerEntry(
                technique="hardware_acceleration",
                quantity="speed",
                step="fix_shapes + bf16 on openvino",
                factor=factor(1.72, "paired rounds"),
                trial=3,
            ),
            LedgerEntry(
                technique="compression",
                quantity="speed",
                step="int8_static/nncf for bf16",
                factor=factor(1.55, "paired rounds"),
                trial=6,
            ),
            LedgerEntry(
                technique="hardware_acceleration",
                quantity="speed",
                step="mode=latency, threads=2",
                factor=factor(1.04, "paired rounds"),
                trial=8,
            ),
            LedgerEntry(
                technique="compression",
                quantity="storage",
                step="int8_static/nncf",
                factor=Figure.measured(3.63, source="bytes of the files"),
                trial=6,
            ),
        ),
        product=Figure(
            value=2.773, low=2.63, high=2.92, label="predicted", source="product of the steps"
        ),
        total=factor(2.77, "baseline and artefact in one interleaved run"),
        interaction=Figure.measured(0.999, low=0.94, high=1.06, source="total over product"),
        storage=Figure.measured(3.63, source="bytes of the files"),
        energy=Figure(value=2.77, low=1.6, high=4.6, label="estimated", source="busy time"),
    )


def front_record() -> Front:
    found = front(trials(), need())
    assert found is not None
    return found


def environment() -> Environment:
    return Environment(
        fitwright="0.1.0",
        python="3.12.8",
        os="Linux 6.12 x86_64",
        cpu="A CPU with 2 cores",
        num_cores=2,
        memory_bytes=24 << 30,
        packages={
            "flatbuffers": "25.12.19",
            "numpy": "2.4.6",
            "onnx": "1.23.2",
            "onnxruntime": "1.31.1",
            "openvino": "2026.4.1",
            "packaging": "26.3",
            "protobuf": "7.36.2",
        },
        command="fitwright fit examples/digits/contract.yaml --time 2m",
        started="2026-11-22T09:30:00+00:00",
    )


def finished_run(folder: Path, hostile: str = "") -> RunFolder:
    """A run that met its contract; `hostile` replaces names that a model brings along."""
    run = RunFolder(folder)
    run.write(contract().model_copy(update={"model": hostile} if hostile else {}))
    run.write(environment())
    run.write(Analysis(need=need(), summary=summary(hostile)))
    run.write(selection())
    run.write(plan())
    run.write(adapted())
    for trial in trials():
        run.record_trial(trial)
    run.write(ledger())
    run.write(verdict())
    run.write(front_record())
    return run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return finished_run(tmp_path / "digits-1")


@pytest.fixture
def run_with(tmp_path: Path) -> Callable[[str], RunFolder]:
    return lambda hostile: finished_run(tmp_path / "digits-1", hostile)


@pytest.fixture
def many_buffers() -> Plan:
    return plan().model_copy(update={"memory": memory_plan(1500)})


@pytest.fixture
def missed() -> Verdict:
    return missed_verdict()

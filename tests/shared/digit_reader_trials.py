"""What a fit of the digit reader measured: 13 trials, two of them full, and what came of them."""

from __future__ import annotations

import numpy as np

from digit_reader import MIB, limits, measured, need, operators
from fitwright.records.figure import Figure
from fitwright.records.front import Front
from fitwright.records.ledger import Ledger, LedgerEntry
from fitwright.records.need import Limit
from fitwright.records.plan import Settings
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
from fitwright.records.trial import Candidate, Comparison, Failure, Trial
from fitwright.records.verdict import LimitVerdict, Relaxation, Verdict
from fitwright.tune.front import front


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


FIXED = candidate(2, "onnxruntime")
BF16 = candidate(3, "openvino", Settings(precision="bfloat16"))
QDQ = candidate(4, "onnxruntime")
NNCF = candidate(5, "openvino")
SHORT: tuple[dict[str, object], ...] = (
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
        "candidate": FIXED,
        "decision": "rejected",
        "reason": "the same speed within ±1 %",
        "p50": 2.60e-3,
        "size": 1_309_800,
        "comparison": versus(BASELINE, 1.004, "same"),
    },
    {
        "candidate": BF16,
        "decision": "accepted",
        "reason": "faster and accurate enough",
        "p50": 1.52e-3,
        "size": 1_309_800,
        "comparison": versus(BASELINE, 1.72, "faster"),
    },
    {
        "candidate": QDQ,
        "decision": "rejected",
        "reason": "slower than the incumbent: 0.79×",
        "p50": 1.93e-3,
        "size": 372_000,
        "comparison": versus(BF16, 0.79, "slower"),
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
        "candidate": NNCF,
        "decision": "accepted",
        "reason": "faster and accurate enough",
        "p50": 0.98e-3,
        "size": 361_500,
        "comparison": versus(BF16, 1.55, "faster"),
    },
    {
        "candidate": candidate(5, "openvino", Settings(threads=1)),
        "decision": "rejected",
        "reason": "slower than the incumbent: 0.62×",
        "p50": 1.58e-3,
        "size": 361_500,
        "comparison": versus(NNCF, 0.62, "slower"),
    },
    {
        "candidate": ARTEFACT,
        "decision": "accepted",
        "reason": "faster by 4 %",
        "p50": 0.94e-3,
        "size": 361_500,
        "comparison": versus(NNCF, 1.04, "faster"),
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
)


def trials() -> tuple[Trial, ...]:
    return (*(short_trial(i, dict(row)) for i, row in enumerate(SHORT)), *full_trials(len(SHORT)))


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

"""Submissions to MLPerf inference: throughput, latency, and energy of the whole system."""

from __future__ import annotations

import re

from fitwright.catalog.benchmarks import find_benchmark, load_benchmarks
from fitwright.perf.boards import submission
from fitwright.perf.boards.submission import LADDER, Reached
from fitwright.perf.boards.submission_power import power_constants, system_w
from fitwright.perf.ladder import estimate
from fitwright.records.benchmark import Benchmark
from fitwright.records.estimate import Estimate, NoData
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains import inputs as read
from fitwright.validate.domains.llm_mlperf import predict_mlperf_offline

STREAM_SPREAD = 1.15
"""Widens the band of a latency: devices left out of the fit differ by this factor (80 %)
beyond their throughput."""
POWER_SPREAD = {True: 1.35, False: 1.8}
"""Band of a system's power with a full queue and with one query at a time: hosts differ, the
more so where they idle beside one busy card. The first holds 80 % of joules a sample with the
device left out; the second is a judgement."""


def predict_mlperf(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Samples a second per device, or the latency of a stream, or joules per sample."""
    if is_language_model(case):
        return _language_model(case, knowledge)
    found = started(case, knowledge)
    if isinstance(found, NoData):
        return found
    benchmark, reached = found
    if "energy" in case.metric or "power" in case.metric:
        return _energy(case, knowledge, benchmark, reached)
    scenario = scenario_of(case)
    if scenario in ("offline", "server"):
        per_s = submission.server_per_s if scenario == "server" else submission.offline_per_s
        value = per_s(reached, benchmark)
        return _answer(value, "1/s", reached, spread=reached.spread)
    seconds = _stream_s(case, knowledge, benchmark, reached)
    if seconds is None:
        return NoData(reason=f"no latency of one query at a time on any {knowledge.sheet.kind}")
    return _answer(seconds, "s", reached, spread=reached.spread * STREAM_SPREAD)


def is_language_model(case: Case) -> bool:
    """Whether tokens are counted, which the model of language models does."""
    name = read.text(case.inputs, "benchmark", *read.MODEL).lower()
    return re.search(r"llama|mixtral|deepseek", name) is not None


def _language_model(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """As simulated; joules are the system's watts over its pace, or times its latency."""
    run = predict_mlperf_offline(case, knowledge)
    if isinstance(run, NoData) or not ("energy" in case.metric or "power" in case.metric):
        return run
    sheet, rows = knowledge.sheet, submission.effects(knowledge.evidence, knowledge.sheet)
    count, full = max(1, int(read.number(case.inputs, *read.DEVICES) or 1)), run.unit != "s"
    constants = power_constants([rows[r] for r in LADDER if r in rows])
    watts = system_w(constants, sheet=sheet, num_devices=count, queue_full=full)
    if watts is None:
        return NoData(reason=f"{sheet.id} has no published TDP, or no system of it was metered")
    reasons = (*run.reasons, f"{watts:.0f} W for the system of {count}")
    spread = POWER_SPREAD[full]
    if "power" in case.metric:
        return estimate(watts, unit="W", rung=run.rung, spread=spread, reasons=reasons)
    joules = watts / (count * run.value) if full else watts * run.value
    spread = max(spread, run.high / run.value)
    return estimate(joules, unit="J", rung=run.rung, spread=spread, reasons=reasons)


def started(case: Case, knowledge: Knowledge) -> tuple[Benchmark, Reached] | NoData:
    """The benchmark and the share of the peak, or why not."""
    name = read.text(case.inputs, "benchmark", *read.MODEL)
    benchmark = find_benchmark(name) or find_benchmark(name.rsplit("/", 1)[-1])
    if benchmark is None:
        known = ", ".join(b.name for b in load_benchmarks())
        return NoData(reason=f"no MLPerf benchmark {name!r}; known: {known}")
    label = read.dtype(case.inputs, "weight_dtype", *read.DTYPE)
    reached = submission.reached(knowledge.sheet, benchmark, knowledge.evidence, label=label)
    return reached if isinstance(reached, NoData) else (benchmark, reached)


def scenario_of(case: Case) -> str:
    """``offline``, ``server``, ``singlestream`` or ``multistream``; from the unit if need be."""
    said = re.sub(r"[^a-z]", "", read.text(case.inputs, "scenario").lower())
    if said:
        return said
    return "singlestream" if case.unit.lower().startswith("ms") else "offline"


def _stream_s(
    case: Case, knowledge: Knowledge, benchmark: Benchmark, reached: Reached
) -> float | None:
    samples = 8 if scenario_of(case) == "multistream" else 1
    return submission.stream_s(reached, benchmark, sheet=knowledge.sheet, samples=samples)


def _energy(
    case: Case, knowledge: Knowledge, benchmark: Benchmark, reached: Reached
) -> Estimate | NoData:
    """Watts of the system, and joules per sample at its pace."""
    sheet, count = knowledge.sheet, max(1, int(read.number(case.inputs, *read.DEVICES) or 1))
    scenario = scenario_of(case)
    full = scenario in ("offline", "server")
    constants = power_constants([reached.rows[r] for r in LADDER if r in reached.rows])
    watts = system_w(constants, sheet=sheet, num_devices=count, queue_full=full)
    if watts is None:
        return NoData(reason=f"{sheet.id} has no published TDP, or no system of it was metered")
    spread = max(POWER_SPREAD[full], reached.spread)
    if "power" in case.metric:
        return _answer(watts, "W", reached, spread=POWER_SPREAD[full])
    if full:
        per_s = submission.server_per_s if scenario == "server" else submission.offline_per_s
        return _answer(watts / (count * per_s(reached, benchmark)), "J", reached, spread=spread)
    seconds = _stream_s(case, knowledge, benchmark, reached)
    samples = 8 if scenario == "multistream" else 1
    if seconds is None:
        return NoData(reason=f"no latency of one query at a time on any {sheet.kind}")
    mean_s = seconds / submission.tail_over_mean(reached, benchmark)
    return _answer(watts * mean_s / samples, "J", reached, spread=spread)


def _answer(value: float, unit: str, reached: Reached, *, spread: float) -> Estimate:
    reason = (
        f"{reached.utilisation:.0%} of the {reached.dtype} peak, as submissions to MLPerf "
        f"reach on the {reached.rung} rung"
    )
    return estimate(value, unit=unit, rung=reached.rung, spread=spread, reasons=(reason,))

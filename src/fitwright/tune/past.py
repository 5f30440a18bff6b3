"""Learning from earlier runs on this machine: what to try first, never what to believe."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from fitwright.errors import StorageError
from fitwright.records.agenda import Agenda, Body
from fitwright.records.contract import Traffic
from fitwright.records.device import Device
from fitwright.records.figure import Figure
from fitwright.records.model import ModelSummary, OperatorCost
from fitwright.records.need import Need
from fitwright.records.past import Hint, ModelPrint, PastRun, PastTrial
from fitwright.records.recipe import Adapted, title
from fitwright.records.run import write_atomically
from fitwright.records.trial import Trial
from fitwright.tune.chained import time_ratios
from fitwright.tune.gains import baseline_of
from fitwright.tune.judge import breaches

HISTORY = "history"  # folder beneath the cache
MOST_RUNS = 200  # kept; the oldest go first
MOST_TRIALS = 400  # of one run: the fastest
LEAST_SIMILAR = 0.3  # runs that resemble this one less tell nothing
OTHER_MODEL = 0.8  # most that a run of another model counts
OTHER_VERSION = 0.5  # what a trial with another version of its backend counts
OTHER_TRAFFIC = 0.5  # what a run under another scenario or batch counts
SIZE_REACH = 8.0  # so many times the FLOP halve the similarity
GAINED = 1.05  # an expected speed from which a body counts as one that pays in time
DOUBT = 0.5  # weight of the assumption that nothing is gained
FAILED_SPEED = 0.25  # what a failure counts as


# --- from a run into the past ----------------------------------------------------------


def machine_print(device: Device) -> str:
    """Digest of name, cores, quota and instruction sets: figures of another machine are
    no guide."""
    facts = [device.name, device.num_cores, device.num_threads, device.cpu_quota]
    text = json.dumps([*facts, sorted(device.instruction_sets)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def model_print(summary: ModelSummary) -> ModelPrint:
    """What is remembered of a model: no names, no weights."""
    work: Counter[str] = Counter()
    for operator in summary.operators:
        work[operator.kind] += _work(operator)
    if not work.total():
        work = Counter(operator.kind for operator in summary.operators)
    total = work.total()
    return ModelPrint(
        sha256=summary.sha256,
        sizes=summary.bindings,
        mix={kind: share / total for kind, share in sorted(work.items()) if share},
        flops=summary.flops + summary.elementwise_flops,
        num_parameters=summary.num_parameters,
    )


def _work(operator: OperatorCost) -> int:
    return (operator.flops or 0) + (operator.elementwise_flops or 0)


def remember(
    trials: Sequence[Trial],
    *,
    run_id: str,
    summary: ModelSummary,
    device: Device,
    need: Need,
    adapted: Adapted,
    versions: Mapping[str, str],
) -> PastRun | None:
    """What a run leaves to the next ones; None while it has no baseline.

    Args:
        trials: of the run so far.
        run_id: hexadecimal digits that name the run and nothing of its user.
        adapted: tells the recipes of each candidate.
        versions: of the backends, by name.
    """
    baseline = baseline_of(trials)
    if baseline is None:
        return None
    ratios = time_ratios(trials, reference=baseline.candidate.key)
    chains = {v.id: tuple(title(r) for r in v.recipes) for v in adapted.variants}
    found = [
        PastTrial(
            chain=chains[trial.candidate.variant_id],
            backend=trial.candidate.backend,
            version=versions.get(trial.candidate.backend, ""),
            settings=trial.candidate.settings,
            speed=None if trial.failure else _inverse(ratios.get(trial.candidate.key)),
            relative_l2=_distance(trial),
            outcome=trial.decision,
            breaks=tuple(sorted(breaches(need, trial.figures))) if trial.figures else (),
        )
        for trial in trials
        if trial.candidate.variant_id in chains and _tells(trial, ratios)
    ]
    return PastRun(
        id=run_id,
        machine=machine_print(device),
        model=model_print(summary),
        traffic=need.traffic,
        trials=tuple(sorted(found, key=lambda t: -_speed(t))[:MOST_TRIALS]),
    )


def _tells(trial: Trial, ratios: Mapping[str, Figure]) -> bool:
    """Whether it was measured or failed; what was passed over without trying says nothing."""
    return trial.stage == "short" and (trial.failure is not None or trial.candidate.key in ratios)


def _inverse(ratio: Figure | None) -> Figure | None:
    """Speed from time."""
    if ratio is None or not ratio.value:
        return None
    return Figure.measured(
        1 / ratio.value,
        low=1 / ratio.high if ratio.high else 0.0,
        high=1 / ratio.low if ratio.low else math.inf,
        source=ratio.source,
    )


def _distance(trial: Trial) -> float | None:
    figure = trial.figures.get("relative_l2")
    return figure.value if figure else None


def _speed(trial: PastTrial) -> float:
    value = trial.speed.value if trial.speed else None
    return value if value and math.isfinite(value) else FAILED_SPEED


# --- on disk ---------------------------------------------------------------------------


def keep(past: PastRun, *, cache: Path) -> str:
    """Store a run in the history, in place of what it stored before; why not, if it failed.

    One file per run, written whole or not at all, so that runs at the same time do not
    disturb each other. Beyond `MOST_RUNS` the oldest files go.
    """
    folder = cache / HISTORY
    try:
        write_atomically(folder / f"{past.id}.json", past.model_dump_json().encode())
        for old in _files(folder)[MOST_RUNS:]:
            old.unlink(missing_ok=True)
    except (StorageError, OSError) as error:
        return f"the run is not remembered: {error}"
    return ""


def history(cache: Path) -> tuple[PastRun, ...]:
    """Every run remembered, the newest first; files that cannot be read are left out."""
    found = []
    for file in _files(cache / HISTORY):
        try:
            found.append(PastRun.from_file(file))
        except (OSError, ValueError):
            continue  # torn by a crash of the machine, or of another version
    return tuple(found)


def _files(folder: Path) -> list[Path]:
    """Newest first; a file that goes away meanwhile counts as old."""

    def age(file: Path) -> tuple[float, str]:
        try:
            return -file.stat().st_mtime, file.name
        except OSError:
            return math.inf, file.name

    return sorted(folder.glob("*.json"), key=age)


# --- from the past to hints ------------------------------------------------------------


def similarity(one: ModelPrint, other: ModelPrint) -> float:
    """How much what was found for one model says about the other: 0 to 1, symmetric.

    1 for the same file at the same sizes. Else at most `OTHER_MODEL`: the overlap of the
    two mixes of operators (sum of the smaller shares), halved for every factor of
    `SIZE_REACH` between their FLOP.
    """
    if (one.sha256, one.sizes) == (other.sha256, other.sizes):
        return 1.0
    kinds = one.mix.keys() & other.mix.keys()
    overlap = math.fsum(min(one.mix[kind], other.mix[kind]) for kind in kinds)
    reach = abs(math.log(max(one.flops, 1)) - math.log(max(other.flops, 1))) / math.log(SIZE_REACH)
    return float(OTHER_MODEL * min(overlap, 1.0) * 0.5**reach)


def recall(
    past: Sequence[PastRun],
    summary: ModelSummary,
    device: Device,
    versions: Mapping[str, str],
    *,
    traffic: Traffic,
) -> tuple[Hint, ...]:
    """What earlier runs on this machine say about candidates for this model, best first.

    Each past trial weighs as much as its run resembles this one (`similarity`, half for
    another version of the backend, half for other traffic). The expected speed is the
    weighted geometric mean of what was found, with `DOUBT` on "no gain"; a failure counts
    as a quarter of the speed. A hint orders trials: what it names is measured again, and
    what it warns of is tried all the same.
    """
    here, model = machine_print(device), model_print(summary)
    groups: dict[tuple[tuple[str, ...], str, str], list[tuple[float, PastTrial]]]
    groups = defaultdict(list)
    for run in past:
        resembling = similarity(run.model, model) if run.machine == here else 0.0
        if resembling < LEAST_SIMILAR:
            continue
        resembling *= 1.0 if _same_traffic(run.traffic, traffic) else OTHER_TRAFFIC
        for trial in run.trials:
            same = versions.get(trial.backend) == trial.version
            weight = resembling * (1.0 if same else OTHER_VERSION)
            groups[(trial.chain, trial.backend, trial.settings.describe())].append((weight, trial))
    return tuple(sorted(map(_hint, groups.values()), key=lambda h: (-h.speed, -h.weight, h.chain)))


def expected_speed(
    hints: Sequence[Hint], *, chain: Sequence[str], backend: str = "", settings: str = ""
) -> float:
    """The best that the past expects of a chain of recipes (titles), against the baseline.

    Hints on the very chain count, else those on chains that end like it: the same recipes
    on another rewriting of the graph. 1 where the past is silent.

    Args:
        backend: only on this one; any when empty.
        settings: `Settings.describe` of the candidate; any when empty.
    """
    wanted = tuple(chain)
    fitting = [
        h
        for h in hints
        if (not backend or h.backend == backend)
        and (not settings or h.settings.describe() == settings)
    ]
    exact = [h.speed for h in fitting if h.chain == wanted]
    ending = [h.speed for h in fitting if wanted and h.chain[-len(wanted) :] == wanted]
    return max(exact or ending, default=1.0)


def ordered(agenda: Agenda, hints: Sequence[Hint]) -> Agenda:
    """The agenda in the order the past suggests; where it is silent the order stays.

    A body that seldom pays in time but did so for a model like this one is no longer put off.
    """

    def expected(body: Body) -> float:
        return expected_speed(hints, chain=tuple(title(r) for r in body.recipes))

    bodies = sorted(agenda.bodies, key=lambda body: -expected(body))
    return agenda.model_copy(
        update={
            "bodies": tuple(
                b.model_copy(update={"seldom_faster": b.seldom_faster and expected(b) < GAINED})
                for b in bodies
            )
        }
    )


def _same_traffic(one: Traffic, other: Traffic) -> bool:
    return (one.scenario, one.batch, one.streams) == (other.scenario, other.batch, other.streams)


def _hint(found: Sequence[tuple[float, PastTrial]]) -> Hint:
    """Of all past trials of one candidate."""
    weight = sum(w for w, _ in found)
    gained = sum(w * math.log(_speed(trial)) for w, trial in found)
    first, failed = found[0][1], sum(t.outcome == "failed" for _, t in found)
    speeds = [_speed(t) for _, t in found if t.outcome != "failed"]
    span = f"{min(speeds):.3g}x to {max(speeds):.3g}x as fast as the baseline" if speeds else ""
    lost = f"failed {failed} time{'' if failed == 1 else 's'}" if failed else ""
    return Hint(
        chain=first.chain,
        backend=first.backend,
        settings=first.settings,
        speed=math.exp(gained / (weight + DOUBT)),
        weight=weight,
        num_failed=failed,
        evidence=f"{len(found)} earlier: " + ", ".join(filter(None, (span, lost))),
    )

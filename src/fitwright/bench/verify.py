"""Is it still the same model? Asked before anything is timed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fitwright.bench.agreement import (
    accuracy_figures,
    equal_share,
    incomplete,
    not_finite,
    relative_l2,
    score,
    top1_agreement,
)
from fitwright.bench.metrics import Metric
from fitwright.bench.opening import affordable, first_queries
from fitwright.bench.padding import num_unread, without_padding
from fitwright.bench.setup import Setup
from fitwright.ports import Samples, Tensors, Worker
from fitwright.records.figure import Figure
from fitwright.records.need import Limit, Need
from fitwright.records.trial import Failure

VERIFY_SHARE = 0.5  # of the time for a candidate, at most
SCREEN_SLACK = 1.3  # times the bound on the distance: a few queries may lie further than all


class Fault(NamedTuple):
    """One bound that is broken.

    Attributes:
        text: which, and by what.
        excess: how many times what is allowed; infinite where nothing is.
    """

    text: str
    excess: float


def examine(
    setup: Setup, worker: Worker, *, budget_s: float, screen: bool = False
) -> dict[str, Figure] | Failure:
    """Footprint and faithfulness of a fresh child, on as many samples as there is time for.

    Args:
        budget_s: for measuring the candidate; a share of it is spent here.
        screen: it will be examined again before anything is accepted.

    Returns:
        The figures of both, or why it is not the same model; then fed with every sample.

    Raises:
        TrialFailed: the child died.
        DataError: the metric fails.
    """
    footprint, probe_s = first_queries(setup, worker)
    samples, reference = affordable(
        setup, probe_s=probe_s, budget_s=VERIFY_SHARE * budget_s, screen=screen
    )
    worker.feed(samples.inputs)
    verified = verify(
        worker,
        reference=reference,
        need=setup.need,
        samples=samples,
        metric=setup.metric,
        seed=setup.seed,
        slack=SCREEN_SLACK if screen and samples is not setup.samples else 1.0,
    )
    if isinstance(verified, Failure):
        return verified
    worker.feed(setup.samples.inputs)
    return {**verified, **footprint}


def verify(
    worker: Worker,
    *,
    reference: Tensors,
    need: Need,
    samples: Samples,
    metric: Metric | None,
    seed: int = 0,
    slack: float = 1.0,
) -> dict[str, Figure] | Failure:
    """The figures of faithfulness, or the first layer that does not hold.

    Layers: every output there and finite; relative L2 distance to the original, all
    outputs together and each alone, within ``need.agreement.relative_l2``; equal elements
    of integer outputs, and top-1 answers when ``need.check_top1``, at least
    ``need.agreement.top1``; the metric within the accuracy limits. When there are labels
    and an accuracy limit, the metric decides and agreement is recorded without binding. A
    floor that the original itself does not reach is no candidate's fault: there agreement
    decides, and the verdict says that the floor is missed. What lies behind the last token of
    a query, where ``need.padding`` says so, is zero on both sides.

    Args:
        worker: fed with exactly `samples`.
        reference: the original's outputs on the same samples.
        slack: how many times the bound on the distance is let pass.

    Raises:
        TrialFailed: the child died.
        DataError: the metric fails.
    """
    outputs = without_padding(worker.outputs(), samples.inputs, need.padding)
    reference = without_padding(reference, samples.inputs, need.padding)
    if broken := _broken(outputs, reference):
        return broken
    unread = num_unread(reference, samples.inputs, need.padding)
    figures, fault = _agreement(
        outputs, reference, need=need, seed=seed, slack=slack, num_unread=unread
    )
    limits, labels = accuracy_limits(need), samples.labels
    if labels is None or metric is None:
        figures |= _no_accuracy()
    elif limits or not fault:
        figures |= accuracy_figures(outputs, reference, labels, metric=metric, seed=seed)
        if limits:
            before = score(reference, labels, metric=metric)
            fault = _by_metric(limits, figures, before=before, otherwise=fault)
    return _disagrees(fault, distance=figures["relative_l2"].value) if fault else figures


def _disagrees(fault: Fault, *, distance: float | None) -> Failure:
    excess = fault.excess if math.isfinite(fault.excess) else None
    return Failure(cause="disagrees", detail=fault.text, distance=distance, excess=excess)


def _broken(outputs: Tensors, reference: Tensors) -> Failure | None:
    if fault := incomplete(outputs, reference):
        return Failure(cause="disagrees", detail=fault)
    if fault := not_finite(outputs, reference):
        return Failure(cause="not_finite", detail=fault)
    return None


def accuracy_limits(need: Need) -> tuple[Limit, ...]:
    """The contract's limits on the metric."""
    return tuple(x for x in need.limits if x.figure in ("accuracy", "accuracy_drop"))


def _agreement(
    outputs: Tensors,
    reference: Tensors,
    *,
    need: Need,
    seed: int,
    slack: float,
    num_unread: int,
) -> tuple[dict[str, Figure], Fault | None]:
    """Figures of every layer, and the bound that is broken most."""
    figures: dict[str, Figure] = {}
    faults: list[Fault] = []
    distance = relative_l2(outputs, reference, seed=seed)
    if distance is None:
        figures["relative_l2"] = Figure.unavailable("the model has no floating-point output")
    else:
        figures["relative_l2"] = distance.overall
        name, worst = distance.worst
        bound = need.agreement.relative_l2
        if not worst <= slack * bound:
            text = f"output '{name}' is {worst:.3g} away from the original (relative L2), "
            faults.append(Fault(f"{text}more than {bound:.3g}", _times(worst, bound)))
    equal = equal_share(outputs, reference, num_unread=num_unread)
    top1 = top1_agreement(outputs, reference)
    if equal is not None:
        figures["equal_share"] = equal
        faults += _below(equal, need.agreement.top1, "equal elements of integer outputs")
    if top1 is not None:
        figures["top1_agreement"] = top1
        if need.check_top1:
            faults += _below(top1, need.agreement.top1, "top-1 agreement with the original")
    return figures, _worst(faults)


def _below(figure: Figure, bound: float, what: str) -> list[Fault]:
    value = figure.value
    if value is None or value >= bound:
        return []
    text = f"{what} is {value:.4g} on {figure.num_samples} answers, below {bound:.4g}"
    return [Fault(text, _times(1 - value, 1 - bound))]


def _times(seen: float, allowed: float) -> float:
    """How many times what is allowed; NaN, which is no answer at all, counts as endless."""
    return seen / allowed if allowed > 0 and math.isfinite(seen) else math.inf


def _keeps(limit: Limit, value: float) -> bool:
    return value <= limit.bound if limit.sense == "at_most" else value >= limit.bound


def _worst(faults: Iterable[Fault | None]) -> Fault | None:
    """What is broken most; None when nothing is."""
    return max((f for f in faults if f), key=lambda f: f.excess, default=None)


def _by_metric(
    limits: Iterable[Limit],
    figures: Mapping[str, Figure],
    *,
    before: float,
    otherwise: Fault | None,
) -> Fault | None:
    """The limit on accuracy that is broken most; None when all are kept.

    Args:
        before: the original's score.
        otherwise: what agreement says, for where no limit binds: a floor that the original
            itself does not reach.
    """
    binding = [x for x in limits if x.figure != "accuracy" or _keeps(x, before)]
    if not binding:
        return otherwise
    return _worst(_beyond(x, figures[x.figure], before=before) for x in binding)


def _beyond(limit: Limit, figure: Figure, *, before: float) -> Fault | None:
    """By how much the limit is broken; None when it is kept.

    Args:
        before: the original's score, from which losses are counted.
    """
    if figure.value is None or _keeps(limit, figure.value):
        return None
    side = "above" if limit.sense == "at_most" else "below"
    text = f"{limit.figure} is {figure.value:.4g}, {side} {limit.bound:.4g} ({figure.source})"
    if limit.figure == "accuracy_drop":
        return Fault(text, _times(figure.value, limit.bound))
    return Fault(text, _times(abs(figure.value - before), abs(limit.bound - before)))


def _no_accuracy() -> dict[str, Figure]:
    why = "no labels; accuracy means agreement with the original here"
    return {"accuracy": Figure.unavailable(why), "accuracy_drop": Figure.unavailable(why)}

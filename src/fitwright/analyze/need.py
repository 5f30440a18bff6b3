"""The contract's words as limits on figures, for this model and this data."""

from __future__ import annotations

from collections.abc import Collection

from fitwright.analyze.complaints import did_you_mean
from fitwright.analyze.contract import FLOOR_RANGE
from fitwright.analyze.samples import Split
from fitwright.analyze.user_code import is_reference
from fitwright.errors import ContractError
from fitwright.records.contract import Agreement, Budget, Contract
from fitwright.records.model import ModelSummary, TensorInfo
from fitwright.records.need import Limit, Need, Sense

LOWER_IS_BETTER = {"mse"}
"""Metrics whose `floor` is a ceiling and whose `drop` is a rise."""

_AGREEMENT_WORDS = {
    "agreement": "relative L2 distance <= {:g}",
    "equal_outputs": "equal elements of integer outputs >= {:g}",
    "top1_agreement": "top-1 agreement >= {:g}",
}
_PERCENTILES = (99, 95, 90, 50)
_PLAIN: tuple[tuple[str, Sense, str], ...] = (
    ("latency_p50", "at_most", "s"),
    ("latency_p90", "at_most", "s"),
    ("latency_p95", "at_most", "s"),
    ("latency_p99", "at_most", "s"),
    ("throughput", "at_least", "/s"),
    ("peak_memory", "at_most", "bytes"),
    ("energy", "at_most", "J"),
    ("cost", "at_most", "usd"),
    ("size", "at_most", "bytes"),
)


def need_of(
    contract: Contract,
    summary: ModelSummary,
    split: Split,
    *,
    check_top1: bool,
    metrics: Collection[str] = tuple(FLOOR_RANGE),
) -> Need:
    """What must hold and what ranks candidates.

    Args:
        contract: the user's promises.
        summary: the model.
        split: the data, real or synthetic.
        check_top1: the original is a trained classifier on this data.
        metrics: names of the metrics that can be computed; ``module:function`` is always one.

    Raises:
        ContractError: an accuracy limit without labels, an unknown metric or output.
    """
    has_labels = split.evaluation.labels is not None
    check_metric(contract, metrics)
    _check_output(contract, summary)
    _check_batch(contract, summary)
    _check_labels(contract, has_labels=has_labels)
    metric = _metric(contract, summary, split)
    objective, percentile = _objective(contract)
    return Need(
        limits=(*plain_limits(contract), *_quality_limits(contract, summary, metric, check_top1)),
        agreement=contract.agreement,
        traffic=contract.traffic,
        budget=_budget(contract),
        objective=objective,
        percentile=percentile,
        metric=metric,
        data_origin=split.evaluation.origin,
        has_labels=has_labels,
        check_top1=check_top1,
        num_calibration=split.calibration.num_queries,
        num_evaluation=split.evaluation.num_queries,
        price_usd_per_s=contract.price_usd_per_s,
        notes=(*split.notes, *_notes(contract, summary, metric, check_top1=check_top1)),
    )


def need_without_data(contract: Contract, summary: ModelSummary) -> Need:
    """What a choice of hardware asks for: all but the limits that only data can decide.

    Raises:
        ContractError: the model cannot take the batch of the contract.
    """
    _check_batch(contract, summary)
    objective, percentile = _objective(contract)
    return Need(
        limits=tuple(plain_limits(contract)),
        agreement=contract.agreement,
        traffic=contract.traffic,
        budget=contract.budget,
        objective=objective,
        percentile=percentile,
        metric="agreement",
        data_origin="synthetic",
        has_labels=False,
        check_top1=False,
        num_calibration=0,
        num_evaluation=0,
        price_usd_per_s=contract.price_usd_per_s,
    )


def plain_limits(contract: Contract) -> list[Limit]:
    """Limits on speed, memory, energy, money and size, as the contract states them."""
    stated = ((name, sense, unit, getattr(contract.limits, name)) for name, sense, unit in _PLAIN)
    return [
        Limit(name=name, figure=name, sense=sense, bound=bound, unit=unit)
        for name, sense, unit, bound in stated
        if bound is not None
    ]


def _quality_limits(
    contract: Contract, summary: ModelSummary, metric: str, check_top1: bool
) -> list[Limit]:
    """The accuracy limit where stated; otherwise agreement with the original."""
    accuracy = contract.limits.accuracy
    if accuracy is None:
        return _agreement_limits(contract.agreement, summary, check_top1)
    if accuracy.drop is not None:
        return [
            Limit(name="accuracy", figure="accuracy_drop", sense="at_most", bound=accuracy.drop)
        ]
    sense: Sense = "at_most" if metric in LOWER_IS_BETTER else "at_least"
    return [Limit(name="accuracy", figure="accuracy", sense=sense, bound=accuracy.floor or 0.0)]


def _agreement_limits(agreement: Agreement, summary: ModelSummary, check_top1: bool) -> list[Limit]:
    """Close where outputs are floating-point numbers, equal where they are not."""
    exact = [_is_exact(output) for output in summary.outputs]
    close = Limit(
        name="agreement",
        figure="relative_l2",
        sense="at_most",
        bound=agreement.relative_l2,
        on_given_data=True,
    )
    limits = [] if exact and all(exact) else [close]
    shares = {"equal_outputs": any(exact), "top1_agreement": check_top1}
    figures = {"equal_outputs": "equal_share", "top1_agreement": "top1_agreement"}
    return limits + [
        Limit(
            name=name,
            figure=figures[name],
            sense="at_least",
            bound=agreement.top1,
            on_given_data=True,
        )
        for name, binds in shares.items()
        if binds
    ]


def _is_exact(output: TensorInfo) -> bool:
    """Whole numbers, truth values and text: equal or not, never close."""
    return not output.dtype.startswith(("float", "bfloat", "complex"))


def _objective(contract: Contract) -> tuple[str, int]:
    """What ranks candidates, and the percentile that must be carried by enough samples."""
    limited = [p for p in _PERCENTILES if getattr(contract.limits, f"latency_p{p}") is not None]
    percentile = limited[0] if limited else 50
    offline = contract.traffic.scenario == "offline"
    wants_rate = contract.limits.throughput is not None and not limited
    if offline or (wants_rate and contract.traffic.scenario != "server"):
        return "throughput", percentile
    return f"latency_p{percentile}", percentile


def _budget(contract: Contract) -> Budget:
    """Without a limit on speed, memory or size there is nothing to stop early for."""
    if plain_limits(contract):
        return contract.budget
    return contract.budget.model_copy(update={"stop": "exhausted"})


def _metric(contract: Contract, summary: ModelSummary, split: Split) -> str:
    """The metric stated, or the one that the labels suggest."""
    labels = split.evaluation.labels
    if labels is None:
        return "agreement"
    if contract.data is not None and contract.data.metric is not None:
        return contract.data.metric
    if labels.dtype.kind == "f":
        return "mse"
    if summary.is_classifier_shape:
        return "accuracy"
    raise ContractError(
        "the labels are whole numbers but the first output is not (samples, classes), so what "
        "'accuracy' means is open",
        code="FW117",
        remedy=f"State data.metric: one of {', '.join(FLOOR_RANGE)}, or package.module:function.",
    )


def check_metric(contract: Contract, metrics: Collection[str]) -> None:
    """The stated metric is one of `metrics` or a function.

    Raises:
        ContractError: it is neither.
    """
    metric = contract.data.metric if contract.data else None
    if metric is not None and not is_reference(metric) and metric not in metrics:
        raise ContractError(
            f"data.metric: unknown metric '{metric}'; {did_you_mean(metric, metrics)}",
            code="FW117",
            remedy="Use a known metric, or your own as package.module:function.",
        )


def _check_output(contract: Contract, summary: ModelSummary) -> None:
    output = contract.data.output if contract.data else None
    outputs = [o.name for o in summary.outputs]
    if output is not None and output not in outputs:
        raise ContractError(
            f"data.output: the model has no output '{output}'; {did_you_mean(output, outputs)}",
            code="FW116",
            remedy="Correct 'data.output'; the first output is judged when it is absent.",
        )


def _fixed_batch(contract: Contract, summary: ModelSummary) -> int | None:
    """Samples in each query when the model's sizes say so and not the contract's batch."""
    batch = contract.traffic.batch
    firsts = {i.shape[0] for i in summary.inputs if i.shape}
    if batch in firsts or batch in summary.bindings.values() or len(firsts) != 1:
        return None
    (first,) = firsts
    return first if isinstance(first, int) else None


def _check_batch(contract: Contract, summary: ModelSummary) -> None:
    batch, fixed = contract.traffic.batch, _fixed_batch(contract, summary)
    if fixed is not None and batch > 1:
        raise ContractError(
            f"traffic.batch: {batch} samples in a query, but the inputs of the model have room "
            f"for {fixed} (first size, fixed in the model or by 'shapes')",
            code="FW118",
            remedy=f"State `batch: {fixed}`, or export the model with a free first size.",
        )


def _check_labels(contract: Contract, *, has_labels: bool) -> None:
    if has_labels:
        return
    data = contract.data
    asked = (
        "limits.accuracy"
        if contract.limits.accuracy is not None
        else f"data.metric '{data.metric}'"
        if data is not None and data.metric is not None
        else None
    )
    if asked is None:
        return
    name = data.labels if data is not None else "labels"
    raise ContractError(
        f"{asked} needs labels, and the data has no array '{name}'",
        code="FW115",
        remedy="Add the labels to the data (name them in 'data.labels'), or leave the line out: "
        "without labels the outputs must agree with the original's ('agreement:').",
    )


def _notes(
    contract: Contract, summary: ModelSummary, metric: str, *, check_top1: bool
) -> list[str]:
    notes: list[str] = []
    limits = contract.limits
    if limits.accuracy is None:
        wanted = _agreement_limits(contract.agreement, summary, check_top1)
        bounds = " and ".join(_AGREEMENT_WORDS[x.name].format(x.bound) for x in wanted)
        notes.append(
            f"no accuracy limit: outputs must agree with the original, {bounds} "
            "(set under 'agreement:')"
        )
    elif metric in LOWER_IS_BETTER:
        notes.append(f"{metric}: smaller is better; 'floor' is its ceiling, 'drop' its rise")
    if (fixed := _fixed_batch(contract, summary)) is not None:
        notes.append(
            f"the first size of every input is {fixed}, and a query counts as one inference; if "
            f"these are samples, state 'traffic: {{batch: {fixed}}}' to count them"
        )
    if limits.cost is not None and contract.price_usd_per_s is None:
        notes.append("cost cannot be decided without a price: add 'price: 0.10 USD/h'")
    if not plain_limits(contract) and contract.budget.stop == "met":
        notes.append("no limit on speed, memory or size: the loop looks for the best in its time")
    return notes

"""Step 1: contract and model become `Need`, `ModelSummary`, data and reference outputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fitwright.analyze.complaints import did_you_mean
from fitwright.analyze.contract import FLOOR_RANGE, resolved
from fitwright.analyze.need import check_metric, need_of
from fitwright.analyze.padding import padding_of
from fitwright.analyze.promises import check_constant_inputs
from fitwright.analyze.reference import reference_outputs
from fitwright.analyze.samples import Split, digest, load_samples, source_arrays
from fitwright.analyze.signature import Signature, read_signature, symbols_from_arrays
from fitwright.analyze.user_code import is_reference, load_function
from fitwright.errors import ContractError, ModelRefused, TrialFailed
from fitwright.graph.summary import summarize
from fitwright.ports import Array, ChildLimits, Executor, Runtime, Samples, Tensors
from fitwright.records.contract import Contract
from fitwright.records.model import ModelSummary
from fitwright.records.need import Analysis, Need, Padding

READING_S = 60.0
"""Reading and counting take seconds even for gigabytes; past this the file is refused."""

REFERENCE_SHARE = 0.1
"""Of the budget, for the original's answers; every full verification takes about as long."""

Metric = str | Callable[[Array, Array], float]


@dataclass(frozen=True, kw_only=True)
class Analyzed:
    """What the rest of the run builds on.

    Attributes:
        analysis: the record of this step.
        model: the original file.
        split: queries for calibration and, apart, for judging.
        reference: the original's outputs on ``split.evaluation``, shape (queries, *output).
        metric: a name that `analyze` was told is known, ``agreement``, or the user's function.
    """

    analysis: Analysis
    model: Path
    split: Split
    reference: Tensors
    metric: Metric


def analyze(
    contract: Contract,
    *,
    folder: Path,
    executor: Executor,
    runtime: Runtime,
    limits: ChildLimits,
    classifier_check: Callable[[Tensors], bool],
    metrics: Collection[str] = tuple(FLOOR_RANGE),
    seed: int = 0,
) -> Analyzed:
    """Read, count, load the data and run the original once, in children of the executor.

    Args:
        contract: what must hold; its relative paths start at `folder`.
        runtime: the backend that gives the reference outputs; each child has `limits`.
        classifier_check: whether reference outputs are those of a trained classifier.
        metrics: names of the metrics that can be computed.
        seed: of the split and of synthetic data.

    Raises:
        ModelRefused: the model is broken, hostile, too slow to read, does not run, or gives NaN.
        ContractError, DataError: the contract, or the data, does not fit the model.
    """
    check_metric(contract, metrics)
    metric, model = _loaded_metric(contract, folder), resolved(contract.model, folder)
    summary, split, padding = _read_with_data(
        model, contract, folder=folder, executor=executor, limits=limits, seed=seed
    )
    answered, reference = _answered(
        model, contract, split, executor=executor, runtime=runtime, limits=limits
    )
    check_top1 = summary.is_classifier_shape and classifier_check(reference)
    need = need_of(contract, summary, answered, check_top1=check_top1, metrics=metrics)
    need = _with_padding(need.model_copy(update={"data_sha256": digest(split)}), padding)
    analysis, metric = Analysis(need=need, summary=summary), metric or need.metric
    return Analyzed(
        analysis=analysis, model=model, split=answered, reference=reference, metric=metric
    )


def _read_with_data(
    model: Path,
    contract: Contract,
    *,
    folder: Path,
    executor: Executor,
    limits: ChildLimits,
    seed: int,
) -> tuple[ModelSummary, Split, Padding | str | None]:
    """The model, its free sizes bound by the user's arrays, the queries that fit it, and which
    of their positions are padding."""
    arrays = source_arrays(contract.data, folder) if contract.data else {}
    shapes = {name: a.shape for name, a in arrays.items()}
    summary, signature, padding = _read(
        model, contract, executor=executor, limits=limits, arrays=shapes
    )
    split = load_samples(
        contract,
        folder,
        summary,
        seed=seed,
        index_bounds=signature.index_bounds,
        arrays=arrays or None,
    )
    check_constant_inputs(contract, summary, split)
    return summary, split, padding


def _with_padding(need: Need, padding: Padding | str | None) -> Need:
    """The promise, and a note what follows from it or why nothing does."""
    if padding is None:
        return need
    if isinstance(padding, str):
        return need.model_copy(update={"notes": (*need.notes, f"padding_mask: {padding}")})
    note = (
        f"padding_mask: outputs behind the last token that '{padding.mask}' keeps are not compared"
    )
    return need.model_copy(update={"padding": padding, "notes": (*need.notes, note)})


def _answered(
    model: Path,
    contract: Contract,
    split: Split,
    *,
    executor: Executor,
    runtime: Runtime,
    limits: ChildLimits,
) -> tuple[Split, Tensors]:
    """The split with the queries that the original answers in its share of the budget, and its
    answers."""
    evaluation, reference = reference_outputs(
        model,
        split.evaluation,
        executor=executor,
        runtime=runtime,
        limits=limits,
        budget_s=REFERENCE_SHARE * contract.budget.time_s,
    )
    return _shortened(split, evaluation), reference


def _shortened(split: Split, evaluation: Samples) -> Split:
    """The split with the queries that the original could answer in time."""
    num, asked = evaluation.num_queries, split.evaluation.num_queries
    if num == asked:
        return split
    note = (
        f"accuracy is judged on {num} of {asked} evaluation queries, evenly spread: more would "
        "not fit in the time; a larger 'budget: {time: ...}' judges more"
    )
    return replace(split, evaluation=evaluation, notes=(*split.notes, note))


def summarize_safely(
    model: Path,
    contract: Contract,
    *,
    executor: Executor,
    limits: ChildLimits,
    arrays: Mapping[str, tuple[int, ...]] | None = None,
) -> ModelSummary:
    """The model's summary, read in a child process under a clock and a memory limit.

    Args:
        model: the ONNX file.
        contract: its shapes and batch bind the symbolic sizes.
        executor: where the child runs.
        limits: the child's; reading never gets more than `READING_S`.
        arrays: shapes of the user's arrays, to bind sizes that the contract leaves open.

    Raises:
        ModelRefused: broken, hostile, or stopped by the clock or the memory limit.
        ContractError: `shapes` names a symbol that the model does not have.
    """
    return _read(model, contract, executor=executor, limits=limits, arrays=arrays or {})[0]


def _read(
    model: Path,
    contract: Contract,
    *,
    executor: Executor,
    limits: ChildLimits,
    arrays: Mapping[str, tuple[int, ...]],
) -> tuple[ModelSummary, Signature, Padding | str | None]:
    short = replace(limits, wall_s=min(limits.wall_s, READING_S))
    try:
        return executor.call(_read_and_count, short, model, contract, dict(arrays))
    except TrialFailed as error:
        raise ModelRefused(
            f"reading {model.name} was stopped: {error.rule}",
            code="FW245",
            remedy=f"A sound model is read within seconds (limits: {short.wall_s:g} s, "
            f"{short.memory_bytes / 2**30:.1f} GiB). Export it again, without nested functions.",
        ) from error


def _read_and_count(
    model: Path, contract: Contract, arrays: Mapping[str, tuple[int, ...]]
) -> tuple[ModelSummary, Signature, Padding | str | None]:
    """Runs in the child."""
    signature = read_signature(model)
    for symbol in contract.shapes:
        if symbol not in signature.symbols:
            raise ContractError(
                f"shapes.{symbol}: no input has a free size of that name; "
                f"{did_you_mean(symbol, signature.symbols)}",
                code="FW116",
                remedy="Correct or remove that line under 'shapes:'.",
            )
    labels = contract.data.labels if contract.data else "labels"
    shapes = symbols_from_arrays(signature, arrays, labels=labels) | contract.shapes
    summary = summarize(model, shapes=shapes, batch=contract.traffic.batch)
    return summary, signature, padding_of(model, contract, signature, summary, shapes=shapes)


def _loaded_metric(contract: Contract, folder: Path) -> Metric | None:
    name = contract.data.metric if contract.data else None
    return load_function(name, folder) if name is not None and is_reference(name) else None

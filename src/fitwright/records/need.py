"""What the contract asks of this model, after both were read: step 1's answer."""

from __future__ import annotations

from typing import Literal

from fitwright.records.contract import Agreement, Budget, Traffic
from fitwright.records.model import ModelSummary
from fitwright.records.record import Record

Sense = Literal["at_most", "at_least"]


class Limit(Record):
    """One line of the contract in base units.

    Attributes:
        name: the contract's word: ``latency_p99``, ``throughput``, ``peak_memory``,
            ``energy``, ``accuracy``, ``agreement``, ``top1_agreement``, ``cost``, ``size``.
        figure: which measured figure decides it (see `Trial.figures`).
        bound: in the unit of the figure.
        on_given_data: the promise is about the very data given (agreement with the
            original on it), so the figure itself decides; otherwise about what is to come,
            and its interval does.
    """

    name: str
    figure: str
    sense: Sense
    bound: float
    unit: str = ""
    on_given_data: bool = False


class Padding(Record):
    """Which positions nobody reads: those behind the last token of a query.

    Attributes:
        mask: the input that is zero there, shape (batch, tokens).
        symbol: the free size of the model that counts the tokens.
        longest: tokens of every query, padding included.
        outputs: name and axis of each output with a value per token.
    """

    mask: str
    symbol: str
    longest: int
    outputs: tuple[tuple[str, int], ...] = ()


class Need(Record):
    """Limits, traffic and what decides between two candidates that keep them.

    Attributes:
        objective: the figure that ranks candidates; smaller is better except throughput.
        metric: what ``accuracy`` means here, or ``agreement`` without labels.
        data_origin: ``contract`` (real inputs) or ``synthetic`` (drawn from stated ranges).
        data_sha256: over every sample and label, calibration first; a run goes on only with
            the data it began with.
        check_top1: the original is a trained classifier on this data, so its top-1
            answers are worth protecting.
        padding: what the contract's `padding_mask` means for this model; None without it.
    """

    limits: tuple[Limit, ...]
    agreement: Agreement
    traffic: Traffic
    budget: Budget
    objective: str
    percentile: int
    metric: str
    data_origin: Literal["contract", "synthetic"]
    has_labels: bool
    check_top1: bool
    num_calibration: int
    num_evaluation: int
    price_usd_per_s: float | None = None
    data_sha256: str = ""
    notes: tuple[str, ...] = ()
    padding: Padding | None = None


class Analysis(Record):
    """`1-analysis.json`: need and model together."""

    need: Need
    summary: ModelSummary

"""The multiplicative ledger: what each technique gave, and what they gave together.

The model: hardware acceleration multiplies the capacity C by k, heterogeneous computing
by m, distribution by n; compression divides the work per inference by c. The effective
speed-up is k·m·n·c. Storage and energy are divided by the factors booked on them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from fitwright.errors import UsageError
from fitwright.records.figure import Figure, Label
from fitwright.records.ledger import Ledger, LedgerEntry
from fitwright.records.record import Record

_WEAKEST_LAST: tuple[Label, ...] = ("measured", "estimated", "predicted", "unavailable")


class LedgerCase(Record):
    """The multiplicative model applied to one machine and one model.

    Attributes:
        k, m, n: factors of hardware acceleration, heterogeneous computing, distribution.
        c: factor by which compression divides the work of one inference.
        capacity_flop_per_s: C·k·m·n, the work per second the hardware gives.
        effective_flop_per_s: C·k·m·n·c, in FLOP of the uncompressed model.
        speedup: k·m·n·c.
        storage_bytes, energy_w: after division by their factors.
    """

    k: float
    m: float
    n: float
    c: float
    capacity_flop_per_s: float
    effective_flop_per_s: float
    speedup: float
    storage_factor: float
    storage_bytes: float
    energy_factor: float
    energy_w: float


def calculate(
    *,
    k: float,
    m: float,
    n: float,
    c: float,
    capacity_flop_per_s: float,
    storage_bytes: float,
    energy_w: float,
    storage_factor: float | None = None,
    energy_factor: float | None = None,
) -> LedgerCase:
    """What the multiplicative model predicts from the factors of `LedgerCase`.

    Args:
        capacity_flop_per_s, storage_bytes, energy_w: C, S and E before any technique.
        storage_factor: what S is divided by; c when absent: a model compressed c times
            needs c times less storage.
        energy_factor: what E is divided by; c when absent: energy follows work.

    Raises:
        UsageError: a factor or quantity is not a finite number above zero.
    """
    storage_factor = c if storage_factor is None else storage_factor
    energy_factor = c if energy_factor is None else energy_factor
    factors = {"k": k, "m": m, "n": n, "c": c}
    factors |= {"storage_factor": storage_factor, "energy_factor": energy_factor}
    _check_positive(capacity=capacity_flop_per_s, storage=storage_bytes, energy=energy_w, **factors)
    capacity = capacity_flop_per_s * k * m * n
    return LedgerCase(
        **factors,
        capacity_flop_per_s=capacity,
        effective_flop_per_s=capacity * c,
        speedup=k * m * n * c,
        storage_bytes=storage_bytes / storage_factor,
        energy_w=energy_w / energy_factor,
    )


def book(entries: Sequence[LedgerEntry], *, total: Figure) -> Ledger:
    """The ledger of a run.

    Args:
        entries: the accepted steps, each with the factor it gave.
        total: the speed-up of artefact over baseline, measured in one run.

    The product is what the model predicts from the single factors; the interaction is
    total over product, below 1 when the techniques get in each other's way.
    """
    product = _product(
        [e.factor for e in entries if e.quantity == "speed"],
        source="product of the factors of the accepted steps",
        label="predicted",
    )
    return Ledger(
        entries=tuple(entries),
        product=product,
        total=total,
        interaction=_ratio(total, product),
        storage=_product_of(entries, "storage"),
        energy=_product_of(entries, "energy"),
    )


def _product_of(entries: Sequence[LedgerEntry], quantity: str) -> Figure:
    """The factor by which one quantity was divided, as well known as its weakest entry."""
    factors = [e.factor for e in entries if e.quantity == quantity]
    return _product(
        factors,
        source=f"product of the {quantity} factors of {len(factors)} accepted step(s)"
        if factors
        else f"no accepted step changed {quantity}",
        label=_weakest(factors),
    )


def _weakest(figures: Iterable[Figure]) -> Label:
    return max((f.label for f in figures), key=_WEAKEST_LAST.index, default="predicted")


def _product(factors: Sequence[Figure], *, source: str, label: Label) -> Figure:
    """The product, its interval from the log-intervals summed in quadrature.

    Quadrature holds for factors measured independently of each other, as those of
    separate interleaved races are.
    """
    for factor in factors:
        if factor.value is None:
            return Figure.unavailable(f"one of the factors is unavailable: {factor.source}")
    value = math.prod(f.value for f in factors if f.value is not None)
    below = math.hypot(*(_log_reach(f, f.low) for f in factors))
    above = math.hypot(*(_log_reach(f, f.high) for f in factors))
    return Figure(
        value=value,
        low=value * math.exp(-below),
        high=value * math.exp(above),
        label=label,
        source=source,
    )


def _ratio(total: Figure, product: Figure) -> Figure:
    """Total over product, intervals combined like those of a product."""
    if total.value is None:
        return Figure.unavailable(f"the total is unavailable: {total.source}")
    if product.value is None:
        return Figure.unavailable(product.source)
    value = total.value / product.value
    below = math.hypot(_log_reach(total, total.low), _log_reach(product, product.high))
    above = math.hypot(_log_reach(total, total.high), _log_reach(product, product.low))
    return Figure(
        value=value,
        low=value * math.exp(-below),
        high=value * math.exp(above),
        label=total.label,
        source="total over product",
    )


def _log_reach(figure: Figure, end: float | None) -> float:
    """How far one end of the interval lies from the value, on the log scale."""
    value = figure.value
    if value is None or not 0 < value < math.inf:
        raise ValueError(f"a factor must be a finite number above 0, got {value}")
    if end is None:
        return 0.0
    return abs(math.log(end / value)) if end > 0 else math.inf


def _check_positive(**quantities: float) -> None:
    wrong = {n: v for n, v in quantities.items() if not 0 < v < math.inf}
    if wrong:
        listed = ", ".join(f"{name}={value:g}" for name, value in wrong.items())
        raise UsageError(
            f"every factor and quantity of the ledger must be finite and above 0; got {listed}",
            code="FW103",
            remedy="A technique that is not used has the factor 1.",
        )

"""What each technique gave, and what the multiplicative model would have predicted."""

from __future__ import annotations

from typing import Literal

from fitwright.records.figure import Figure
from fitwright.records.record import Record

Technique = Literal[
    "hardware_acceleration",
    "heterogeneous_computing",
    "distributed_computing",
    "compression",
    "memory_optimisation",
    "energy_efficiency",
]


class LedgerEntry(Record):
    """One accepted step and the factor it gave.

    `quantity` is what the factor applies to: speed (k, m, n, c multiply), storage or
    energy (divide). A factor above 1 is a gain. Accuracy loss is booked nowhere here:
    the verdict judges it.
    """

    technique: Technique
    quantity: Literal["speed", "storage", "energy"]
    step: str
    factor: Figure
    trial: int | None = None


class Ledger(Record):
    """`ledger.json`.

    Attributes:
        product: the speed-up that the multiplicative model predicts from the entries.
        total: the speed-up measured in one run, baseline against artefact.
        interaction: total over product; 1 when the techniques do not disturb each other.
    """

    entries: tuple[LedgerEntry, ...]
    product: Figure
    total: Figure
    interaction: Figure
    storage: Figure
    energy: Figure

"""Which int8 variants were taken apart, and what that showed; ``taken-apart.json`` of a run."""

from __future__ import annotations

from fitwright.records.recipe import Recipe
from fitwright.records.record import Record
from fitwright.records.sensitivity import Sensitivity


class Inquiry(Record):
    """One int8 variant on one backend.

    Attributes:
        sensitivity: None when it could not be found out; then `reason` says why.
    """

    chain: tuple[Recipe, ...]
    backend: str
    sensitivity: Sensitivity | None = None
    reason: str = ""


class TakenApart(Record):
    """Every inquiry of a run, in order."""

    inquiries: tuple[Inquiry, ...] = ()

    @property
    def known(self) -> tuple[Sensitivity, ...]:
        """What was found out."""
        return tuple(i.sensitivity for i in self.inquiries if i.sensitivity is not None)

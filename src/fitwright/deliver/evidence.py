"""What a run has on disk, finished or interrupted: the report's only input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from fitwright.records.contract import Contract
from fitwright.records.environment import Environment
from fitwright.records.front import Front
from fitwright.records.ledger import Ledger
from fitwright.records.need import Analysis
from fitwright.records.plan import Plan
from fitwright.records.recipe import Adapted, Variant
from fitwright.records.record import Record
from fitwright.records.run import FILES, RunFolder
from fitwright.records.selection import Selection
from fitwright.records.trial import Candidate, Trial
from fitwright.records.verdict import Verdict

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Every record of a run; ``None`` where the run has not come that far.

    Attributes:
        name: the run folder's own name.
        baseline, artefact: the trials that the before/after table compares: the full-stage
            ones where they exist, else the last short ones of the same candidates.
    """

    name: str
    contract: Contract | None
    environment: Environment | None
    analysis: Analysis | None
    selection: Selection | None
    plan: Plan | None
    adapted: Adapted | None
    trials: tuple[Trial, ...]
    verdict: Verdict | None
    ledger: Ledger | None
    front: Front | None = None

    @property
    def baseline(self) -> Trial | None:
        """The strongest plain start: the verdict's, else the first one measured."""
        if self.verdict and self.verdict.baseline:
            return _last_of(self.trials, self.verdict.baseline)
        first = next((t for t in self.trials if t.decision == "baseline"), None)
        return _last_of(self.trials, first.candidate) if first else None

    @property
    def artefact(self) -> Trial | None:
        """What ships: the verdict's candidate, else the incumbent when the run ended."""
        if self.verdict:
            ships = self.verdict.candidate
            return _last_of(self.trials, ships) if ships else None
        kept = [t for t in self.trials if t.decision in ("accepted", "baseline")]
        return kept[-1] if kept else None

    @property
    def variant(self) -> Variant | None:
        """The model file of the artefact."""
        if self.adapted is None or self.artefact is None:
            return None
        wanted = self.artefact.candidate.variant_id
        return next((v for v in self.adapted.variants if v.id == wanted), None)


def read_evidence(run: RunFolder) -> Evidence:
    """Read whatever the run has.

    Raises:
        UsageError: the folder holds no record at all, or one that this version cannot read.
    """
    if not any(run.has(kind) for kind in FILES):
        run.read(Contract)  # raises, and says that this is no run

    def maybe(kind: type[R]) -> R | None:
        return run.read(kind) if run.has(kind) else None

    return Evidence(
        name=run.path.resolve().name,
        contract=maybe(Contract),
        environment=maybe(Environment),
        analysis=maybe(Analysis),
        selection=maybe(Selection),
        plan=maybe(Plan),
        adapted=maybe(Adapted),
        trials=run.trials(),
        verdict=maybe(Verdict),
        ledger=maybe(Ledger),
        front=maybe(Front),
    )


def _last_of(trials: Sequence[Trial], candidate: Candidate) -> Trial | None:
    """The candidate's last full trial, else its last one."""
    own = [t for t in trials if t.candidate.key == candidate.key and t.decision != "failed"]
    full = [t for t in own if t.stage == "full"]
    return next(reversed(full or own), None)

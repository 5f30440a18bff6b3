"""What each section of the report shows, as text and tables, ready for the template."""

from __future__ import annotations

from fitwright.deliver.evidence import Evidence
from fitwright.deliver.summary import (
    before_after_rows,
    headline,
    ledger_rows,
    trial_rows,
    verdict_rows,
)


def page(evidence: Evidence) -> dict[str, object]:
    """Everything the template names."""
    verdict, ledger = evidence.verdict, evidence.ledger
    both = evidence.baseline and evidence.artefact
    return {
        "name": evidence.name,
        "headline": headline(verdict) if verdict else "The run ended before a verdict",
        "limits": verdict_rows(verdict) if verdict else (),
        "before_after": before_after_rows(evidence.baseline, evidence.artefact)
        if both and evidence.baseline and evidence.artefact
        else (),
        "ledger": ledger_rows(ledger) if ledger else (),
        "trials": trial_rows(evidence.trials),
    }

"""What each section of the report shows, as text, tables and drawings for the template."""

from __future__ import annotations

from dataclasses import dataclass

from fitwright.deliver import facts
from fitwright.deliver.evidence import Evidence
from fitwright.deliver.machine import any_beyond, floor_rows, peak_rows
from fitwright.deliver.plots import (
    front_plot,
    latency_plot,
    memory_plot,
    roofline_and_plot,
    trial_marks,
)
from fitwright.deliver.story import search_rows
from fitwright.deliver.summary import (
    before_after_rows,
    headline,
    ledger_rows,
    trial_rows,
    verdict_rows,
)
from fitwright.deliver.svg_marks import draw_bound
from fitwright.deliver.svg_memory import MOST_BOXES
from fitwright.deliver.trade import front_rows, front_words, title_of
from fitwright.deliver.wording import (
    factor_interval,
    factor_text,
    figure_text,
    figure_title,
    interval_text,
    positive,
    samples_text,
)
from fitwright.records.figure import Figure
from fitwright.records.verdict import Verdict

STOPS = {
    "met": "The search ended because every limit is met.",
    "exhausted": "The search ended because nothing was left to try.",
    "out_of_time": "The search ended because its time budget was used up.",
    "interrupted": "The search was interrupted; `fitwright tune RUN` goes on from the last trial.",
    "nothing_runs": "The search ended because no candidate runs here.",
}
CONTENTS = (
    ("verdict", "Verdict"),
    ("ships", "What ships"),
    ("before-after", "Before and after"),
    ("ledger", "Ledger"),
    ("front", "Front"),
    ("trials", "Trials"),
    ("machine", "Against the machine"),
    ("roofline", "Roofline"),
    ("latency", "Latency"),
    ("memory", "Memory"),
    ("accuracy", "Accuracy"),
    ("contract", "Contract"),
    ("environment", "Environment"),
    ("repeat", "Repeat it"),
)
_ACCURACY = ("accuracy", "accuracy_drop", "top1_agreement", "relative_l2")


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One of the numbers at the top of the page."""

    value: str
    name: str
    detail: str


def page(evidence: Evidence) -> dict[str, object]:
    """Everything the templates name; a section without its record is None or empty."""
    return {
        "evidence": evidence,
        "contents": CONTENTS,
        **_top(evidence),
        **_outcome(evidence),
        **_comparison(evidence),
        **_front(evidence),
        **_trials(evidence),
        **_machine(evidence),
        **_drawings(evidence),
        **_record(evidence),
    }


def _top(evidence: Evidence) -> dict[str, object]:
    verdict = evidence.verdict
    if verdict is None:
        count = len(evidence.trials)
        on_disk = f"{count} trial{' is' if count == 1 else 's are'} on disk"
        words = f"{on_disk}; `fitwright tune RUN` goes on from there"
        return {"heading": "No verdict yet", "lead": words, "status": "undecided", "facts": ()}
    heading, _, lead = headline(verdict).partition(": ")
    numbers = _facts(evidence, verdict)
    return {"heading": heading, "lead": lead, "status": verdict.status, "facts": numbers}


def _facts(evidence: Evidence, verdict: Verdict) -> tuple[Fact, ...]:
    """Speed and storage, then the two figures a reader asks for next."""
    found = [_factor_fact(verdict.speedup, "the baseline's speed")]
    if evidence.ledger and positive(evidence.ledger.storage):
        found.append(_storage_fact(evidence.ledger.storage))
    need = evidence.analysis.need if evidence.analysis else None
    names = (
        need.objective if need else "latency_p50",
        "accuracy" if need and need.has_labels else "relative_l2",
    )
    own = evidence.artefact.figures if evidence.artefact else {}
    return (
        *found,
        *(_figure_fact(n, own[n]) for n in names if n in own and own[n].value is not None),
    )


def _factor_fact(figure: Figure, name: str) -> Fact:
    value = factor_text(figure) if figure.value is not None else "–"
    return Fact(value=value, name=name, detail=factor_interval(figure) or figure.label)


def _storage_fact(storage: Figure) -> Fact:
    """The factor as a reader puts it: above 1, whichever way it goes."""
    factor = storage.value or 1.0
    if factor >= 1:
        return _factor_fact(storage, "smaller on disk")
    return _factor_fact(Figure.measured(1 / factor, source=storage.source), "larger on disk")


def _figure_fact(name: str, figure: Figure) -> Fact:
    told = (interval_text(figure) or figure.label, samples_text(figure))
    detail = ", ".join(filter(None, told))
    return Fact(value=figure_text(figure), name=figure_title(name), detail=detail)


def _outcome(evidence: Evidence) -> dict[str, object]:
    verdict = evidence.verdict
    limits = verdict.limits if verdict else ()
    rows = verdict_rows(verdict) if verdict else []
    return {
        "verdict": verdict,
        "limits": [(r, v.figure, draw_bound(v)) for r, v in zip(rows, limits, strict=True)],
        "stop": STOPS[verdict.stop] if verdict else "",
        "ships": verdict.candidate if verdict else None,
        "ships_rows": facts.ships_rows(evidence),
        "ledger": ledger_rows(evidence.ledger) if evidence.ledger else [],
    }


def _comparison(evidence: Evidence) -> dict[str, object]:
    """Baseline beside artefact; both tables stay empty until both exist."""
    baseline, artefact = evidence.baseline, evidence.artefact
    if baseline is None or artefact is None:
        nothing: list[object] = []
        return {
            "before_after": nothing,
            "accuracy": nothing,
            "same_candidate": False,
            "both_full": False,
        }
    shown = [n for n in _ACCURACY if n in artefact.figures]
    return {
        "before_after": before_after_rows(baseline, artefact),
        "accuracy": [(n, baseline.figures.get(n), artefact.figures[n]) for n in shown],
        "same_candidate": baseline.candidate.key == artefact.candidate.key,
        "both_full": baseline.stage == artefact.stage == "full",
    }


def _front(evidence: Evidence) -> dict[str, object]:
    front = evidence.front
    return {
        "front": front,
        "front_svg": front_plot(evidence),
        "front_words": front_words(front) if front else "",
        "front_rows": front_rows(front) if front else [],
        "front_titles": [title_of(o) for o in front.objectives] if front else [],
        "left_out": [f"{title_of(o)} {why}" for o, why in front.left_out] if front else [],
        "alternatives": evidence.verdict.alternatives if evidence.verdict else (),
    }


def _trials(evidence: Evidence) -> dict[str, object]:
    marks = trial_marks(evidence.trials)
    return {
        "trial_rows": list(zip(trial_rows(evidence.trials), marks, strict=True)),
        "trial_counts": facts.trial_counts(evidence),
        "search_rows": search_rows(evidence),
        "skipped": facts.skipped_rows(evidence.adapted.skipped) if evidence.adapted else [],
    }


def _machine(evidence: Evidence) -> dict[str, object]:
    choices = evidence.selection.choices if evidence.selection else ()
    choice = choices[0] if choices else None
    artefact = evidence.artefact
    floors = floor_rows(choice, artefact) if choice and artefact else []
    peaks = peak_rows(choice.device, evidence.baseline, artefact) if choice else []
    return {
        "choice": choice,
        "floors": floors,
        "peaks": peaks,
        "any_beyond": any_beyond(floors, peaks),
        "refused": evidence.selection.refused if evidence.selection else (),
    }


def _drawings(evidence: Evidence) -> dict[str, object]:
    roofline, roofline_svg, roofline_missing = roofline_and_plot(evidence)
    return {
        "roofline": roofline,
        "roofline_svg": roofline_svg,
        "roofline_missing": roofline_missing,
        "latency_svg": latency_plot(evidence),
        "memory": evidence.plan.memory if evidence.plan else None,
        "memory_svg": memory_plot(evidence),
        "most_boxes": MOST_BOXES,
    }


def _record(evidence: Evidence) -> dict[str, object]:
    analysis, contract = evidence.analysis, evidence.contract
    need = analysis.need if analysis else None
    environment = evidence.environment
    return {
        "summary": analysis.summary if analysis else None,
        "accuracy_words": facts.accuracy_words(need),
        "need_notes": need.notes if need else (),
        "contract_rows": facts.contract_rows(contract, need) if contract else [],
        "environment_rows": facts.environment_rows(environment) if environment else [],
    }

"""What earlier runs on this machine say to this one, and what this one leaves to the next."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from fitwright.flow.search import Search
from fitwright.flow.steps import Walk
from fitwright.flow.teaching import taught
from fitwright.ports import Tools
from fitwright.tune.past import history, keep, ordered, recall, remember


def with_hints(found: Walk, *, tools: Tools) -> Walk:
    """The same plan of work in the order that earlier runs suggest; nothing is left out."""
    if not found.contract.budget.learn:
        return found
    hints = recall(
        history(tools.cache),
        found.analyzed.analysis.summary,
        found.device,
        versions(tools),
        traffic=found.contract.traffic,
    )
    if hints:
        tools.console.say(
            f"earlier runs on this machine know {len(hints)} candidates for models like this "
            "one; they order what is tried, and every figure is measured again"
        )
    return replace(found, agenda=ordered(found.agenda, hints))


def remembered(search: Search) -> None:
    """Keep this run's trials for later ones; a run that cannot be kept says so and goes on."""
    if not search.walk.contract.budget.learn:
        return
    past = remember(
        search.trials,
        run_id=hashlib.sha256(str(search.run.path.resolve()).encode()).hexdigest()[:16],
        summary=search.walk.analyzed.analysis.summary,
        device=search.walk.device,
        need=search.walk.analyzed.analysis.need,
        adapted=search.adapted,
        versions=versions(search.tools),
    )
    if search.walk.contract.traffic.scenario == "single_stream":
        taught(
            search.trials,
            summary=search.walk.analyzed.analysis.summary,
            device=search.walk.device,
            adapted=search.adapted,
            tools=search.tools,
        )
    if past is not None and (why := keep(past, cache=search.tools.cache)):
        search.tools.console.say(why)


def versions(tools: Tools) -> dict[str, str]:
    """Of every backend that runs here."""
    return {name: r.availability().version or "" for name, r in tools.runtimes.items()}

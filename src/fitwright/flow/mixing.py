"""Mixed precision inside the search: int8 variants taken apart, and the mixes that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitwright import units
from fitwright.adapt.sensitivity import analyse
from fitwright.adapt.variants import variant_path
from fitwright.errors import TrialFailed
from fitwright.flow.making import calibration, pass_s
from fitwright.flow.steps import trial_limits
from fitwright.records.agenda import Chain
from fitwright.records.recipe import Int8Static, title
from fitwright.records.sensitivity import Sensitivity
from fitwright.records.taken_apart import Inquiry
from fitwright.tune.mixed import next_mixed
from fitwright.tune.proposal import TakeApart

if TYPE_CHECKING:
    from fitwright.flow.search import Search


def inquire(search: Search, step: TakeApart) -> Inquiry:
    """Both costs of int8, group by group, in child processes; a failure is an answer too."""
    console = search.tools.console
    if step.backend not in search.tools.probes:
        reason = f"nothing can look inside models of {step.backend} here"
        return Inquiry(chain=step.chain, backend=step.backend, reason=reason)
    console.say(f"look    inside {step.variant.title} on {step.backend} …")
    float_model = search.adapted.made_by(step.chain[:-1]) or search.adapted.variants[0]
    begin = search.tools.clock()
    try:
        found = analyse(
            step.chain,
            graph=variant_path(float_model, search.run.path).resolve(),
            int8=variant_path(step.variant, search.run.path).resolve(),
            backend=step.backend,
            settings=step.settings,
            probes=search.tools.probes,
            calibration=calibration(search).resolve(),
            executor=search.tools.executor,
            limits=trial_limits(search.walk.device, wall_s=pass_s(search)),
        )
    except TrialFailed as error:
        console.say(f"skipped mixed precision: {error.rule}")
        return Inquiry(chain=step.chain, backend=step.backend, reason=error.rule)
    console.say(_told(found, search.tools.clock() - begin))
    return Inquiry(chain=step.chain, backend=step.backend, sensitivity=found)


def mixes(search: Search) -> tuple[Chain, ...]:
    """The mixed chains asked for so far, and the next one of every variant taken apart."""
    asked = [c for c in search.adapted.chains if _is_mixed(c)]
    need = search.walk.analyzed.analysis.need
    proposed = [
        next_mixed(search.trials, search.adapted, sensitivity, need)
        for sensitivity in search.taken_apart.known
    ]
    return tuple(dict.fromkeys([*asked, *(c for c in proposed if c is not None)]))


def _is_mixed(chain: Chain) -> bool:
    return isinstance(chain[-1], Int8Static) and bool(chain[-1].keep)


def _told(found: Sensitivity, seconds: float) -> str:
    slower = [e.group.name for e in found.effects if (e.gained.value or 0.0) < 0]
    text = (
        f"known   {len(found.effects)} groups of {title(found.chain[-1])} on {found.backend} in "
        f"{units.seconds(seconds)}"
    )
    return text + (f"; int8 is slower in {', '.join(slower)}" if slower else "")

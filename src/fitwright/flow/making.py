"""Step 4 inside the search: chains of recipes, each starting from what was already made."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Protocol

from fitwright import units
from fitwright.adapt.adapt import adapt
from fitwright.adapt.calibration import num_calibration_queries, write_calibration
from fitwright.flow.steps import trial_limits
from fitwright.records.agenda import Chain
from fitwright.records.recipe import Adapted, Bf16, Skipped, Variant, title

if TYPE_CHECKING:
    from fitwright.flow.search import Search

CALIBRATION = "calibration.npz"
LEAST_PASS_S = 20.0  # a pass begun near the end of the search still gets this long
LEAST_PASS_SHARE = 0.1  # of the whole budget, when that is less


class Maker(Protocol):
    """Makes the end of a chain from a variant that has its beginning."""

    def __call__(
        self, search: Search, start: Variant, chain: Chain, *, num_made: int
    ) -> Variant | Skipped:
        """
        Args:
            start: what the first `num_made` recipes of the chain came to.
        """
        ...


def make(search: Search, chain: Chain, *, maker: Maker) -> None:
    """One chain of recipes; what it came to is remembered and on disk."""
    name = " + ".join(title(r) for r in chain)
    search.tools.console.say(f"adapt   {name} …")
    start, num_made = _start(search.adapted, chain)
    if same := _changes_nothing(search, start, chain):
        return _remember(search, chain, Skipped(recipes=chain, reason=same))
    outcome = maker(search, start, chain, num_made=num_made)
    if isinstance(outcome, Skipped) and search.left_s() <= 0:
        return None  # cut off by the budget, not refused: a resumed run tries again
    return _remember(search, chain, outcome)


def made(search: Search, start: Variant, chain: Chain, *, num_made: int) -> Variant | Skipped:
    """By the passes of the backends, in child processes."""
    return adapt(
        start,
        chain[num_made:],
        asked=chain[:num_made],
        summary=search.walk.analyzed.analysis.summary,
        device=search.walk.device,
        transforms=search.tools.transforms,
        executor=search.tools.executor,
        limits=trial_limits(search.walk.device, wall_s=pass_s(search)),
        calibration=calibration(search),
        folder=search.run.variants,
        source=search.adapted.variants[0],
    )


def is_too_long(search: Search, chain: Chain) -> bool:
    """Whether making the chain and racing what it comes to would take longer than is left, by
    what recipes like its last one and races have taken so far."""
    passes = [v.seconds for v in search.adapted.variants if v.recipes and _alike(v.recipes, chain)]
    races = [t.seconds for t in search.trials if t.stage == "short" and t.figures]
    if not passes or not races or max(passes) + fmean(races) <= search.left_s():
        return False
    search.tools.console.say(
        f"left out {title(chain[-1])}: making it would take about {units.seconds(max(passes))}, "
        f"and {units.seconds(max(search.left_s(), 0.0))} are left"
    )
    return True


def _alike(one: Chain, other: Chain) -> bool:
    """Whether both end in the same kind of recipe by the same toolkit, and neither only puts
    some layers back."""
    ends = one[-1], other[-1]
    kinds = {(end.kind, getattr(end, "toolkit", ""), getattr(end, "method", "")) for end in ends}
    return len(kinds) == 1 and not any(getattr(end, "keep", ()) for end in ends)


def pass_s(search: Search) -> float:
    """How long one call of a pass may take now."""
    return max(search.left_s(), min(LEAST_PASS_S, LEAST_PASS_SHARE * search.watch.budget_s))


def _start(adapted: Adapted, chain: Chain) -> tuple[Variant, int]:
    """The variant of the longest beginning of the chain that was made, and its length."""
    for length in range(len(chain) - 1, 0, -1):
        if (variant := adapted.made_by(chain[:length])) is not None:
            return variant, length
    return adapted.variants[0], 0


def _changes_nothing(search: Search, start: Variant, chain: Chain) -> str:
    """Why the chain's candidate would be one that was measured already; else empty."""
    if not isinstance(chain[-1], Bf16):
        return ""
    for trial in search.trials:
        if trial.candidate.variant_id == start.id and trial.silent_precision == "bfloat16":
            return f"bf16: {trial.candidate.backend} computes in bfloat16 here by default"
    return ""


def calibration(search: Search) -> Path:
    """The run's calibration data; written when it is first wanted."""
    out = search.run.data / CALIBRATION
    if not out.is_file():
        num = num_calibration_queries(search.walk.analyzed.analysis.summary)
        write_calibration(search.walk.analyzed.split.calibration, out, num_queries=num)
    return out


def _remember(search: Search, chain: Chain, made: Variant | Skipped) -> None:
    adapted, id_ = search.adapted, made.id if isinstance(made, Variant) else ""
    variants, skipped = adapted.variants, adapted.skipped
    if isinstance(made, Variant) and id_ in {v.id for v in variants}:
        same = adapted.variant(id_).title
        made = Skipped(recipes=chain, reason=f"{title(chain[-1])}: gives the same file as {same}")
    if isinstance(made, Skipped):
        made = made.model_copy(update={"recipes": chain})
        skipped = (*skipped, made)
        search.tools.console.say(f"skipped {made.reason}")
    else:
        variants = (*variants, made)
        search.tools.console.say(
            f"made    {made.title}: {units.bytes_(made.size_bytes)} in "
            f"{units.seconds(made.seconds)}"
        )
    search.adapted = Adapted(
        variants=variants,
        skipped=skipped,
        chains=(*adapted.chains, chain),
        made=(*adapted.made, id_),
    )
    search.run.write(search.adapted)

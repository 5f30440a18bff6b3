"""The loop's state between two steps; everything that must last is in the run's folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from fitwright import units
from fitwright.adapt.adapt import adapt
from fitwright.adapt.calibration import num_calibration_queries, write_calibration
from fitwright.adapt.variants import original_variant, variant_path
from fitwright.bench.trial import (
    Contender,
    Measurement,
    Setup,
    Target,
    open_contender,
    try_candidate,
)
from fitwright.errors import BackendMissing
from fitwright.flow.ending import Ending, ending
from fitwright.flow.steps import Walk, metric_of, trial_limits
from fitwright.flow.stopwatch import Stopwatch
from fitwright.ports import ChildLimits, Tools
from fitwright.records.recipe import Adapted, Bf16, Recipe, Skipped, Variant, title
from fitwright.records.run import RunFolder
from fitwright.records.trial import Candidate, Trial
from fitwright.tune.decide import Decision, decide
from fitwright.tune.gains import baseline_of
from fitwright.tune.judge import breaches
from fitwright.tune.propose import Make, Try, hopeless, propose
from fitwright.tune.standing import accepted_path, incumbent_of

STORAGE_LIMITS = frozenset({"size", "peak_memory"})
CALIBRATION = "calibration.npz"
LEAST_PASS_S = 20.0  # a pass begun near the end of the search still gets this long
LEAST_PASS_SHARE = 0.1  # of the whole budget, when that is less
RACE_S = 20.0  # longest race of one candidate against the incumbent
RACE_SHARE = 0.08  # of the whole budget, when that is less


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a final run ended with.

    Attributes:
        best: key of the candidate that was the best so far when it began.
        budget_s: of its measuring.
        artefact, baseline: full trials of what ships and of what it was measured against.
    """

    best: str
    budget_s: float
    artefact: Trial
    baseline: Trial


class Search:
    """Adapt, bench and decide, one proposal at a time.

    Attributes:
        trials: every finished trial of the run, resumed ones included.
        adapted: every variant made and recipe skipped so far.
        judged: the last final run of this process, if there was one.
    """

    def __init__(self, walk: Walk, *, tools: Tools, run: RunFolder, watch: Stopwatch) -> None:
        self.walk, self.tools, self.run, self.watch = walk, tools, run, watch
        self.trials: list[Trial] = list(run.trials())
        self.adapted = run.read(Adapted) if run.has(Adapted) else self._with_original()
        self.setup = _setup(walk, tools, wall_s=120.0)
        self.judged: Judged | None = None
        self._contender: Contender | None = None

    def __enter__(self) -> Search:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _with_original(self) -> Adapted:
        backends = tuple(self.tools.runtimes)
        original = original_variant(self.walk.analyzed.analysis.summary, backends=backends)
        return Adapted(variants=(original,))

    # --- the loop's three verbs ------------------------------------------------------

    def propose(self) -> Make | Try | None:
        """What to do next, or None when nothing is left to try."""
        return propose(
            self.walk.plan,
            chains=self.walk.chains,
            adapted=self.adapted,
            trials=self.trials,
            storage_first=not STORAGE_LIMITS.isdisjoint(self.breaches()),
        )

    def make(self, chain: tuple[Recipe, ...]) -> None:
        """Step 4: one chain of recipes, starting from what was already made of it."""
        name = " + ".join(title(r) for r in chain)
        self.tools.console.say(f"adapt   {name} …")
        start = self._longest_prefix(chain)
        if same := self._changes_nothing(start, chain):
            return self._remember(chain, Skipped(recipes=chain, reason=same))
        made = adapt(
            start,
            chain[len(start.recipes) :],
            summary=self.walk.analyzed.analysis.summary,
            device=self.walk.device,
            transforms=self.tools.transforms,
            executor=self.tools.executor,
            limits=trial_limits(self.walk.device, wall_s=self._pass_s()),
            calibration=self._calibration(),
            folder=self.run.variants,
        )
        if isinstance(made, Skipped) and self.left_s() <= 0:
            return None  # cut off by the budget, not refused: a resumed run tries again
        return self._remember(chain, made)

    def bench(self, step: Try) -> Trial:
        """Steps 5 and 6: measure one candidate against the best so far, keep it or not."""
        if why := hopeless(step, self.trials):
            return self._unmeasured(step, why)
        target = self.target(step.candidate, step.variant)
        incumbent = self._incumbent()
        budget_s = max(1.0, min(RACE_S, RACE_SHARE * self.watch.budget_s))
        setup = self.setup if step.round == 1 else replace(self.setup, limits=self._limits())
        measured = try_candidate(setup, target, incumbent=incumbent, budget_s=budget_s)
        decision = self._decide(measured, incumbent)
        trial = self._trial(step, measured, decision)
        self._swap(measured, decision)
        self.record(trial)
        self.tools.console.say(_line(trial))
        return trial

    # --- for the flow ----------------------------------------------------------------

    def left_s(self) -> float:
        """Left for trying things; negative when the final run must begin."""
        return self.watch.search_left_s(self.ending())

    def ending(self) -> Ending:
        """What must be set aside for the end of the run."""
        need = self.walk.analyzed.analysis.need
        return ending(self.best(), baseline_of(self.trials), need=need)

    def record(self, trial: Trial) -> None:
        """From here on the trial is never lost."""
        self.run.record_trial(trial)
        self.trials.append(trial)

    def best(self) -> Trial | None:
        """The best verified candidate so far."""
        return incumbent_of(self.trials)

    def has_best(self) -> bool:
        """Whether any candidate runs and agrees with the original."""
        return self.best() is not None

    def best_key(self) -> str:
        """Key of the best so far; empty when there is none."""
        best = self.best()
        return best.candidate.key if best else ""

    def breaches(self) -> dict[str, float]:
        """Limits that the best so far breaks for certain; everything when there is none."""
        best, need = self.best(), self.walk.analyzed.analysis.need
        return breaches(need, best.figures) if best else {"nothing runs": 1.0}

    def say_step(self, text: str) -> None:
        """Tell the user which step of the flow begins."""
        self.tools.console.step(text)

    def path(self) -> list[Trial]:
        """Everything accepted so far, the strongest last."""
        return accepted_path(self.trials)

    def target(self, candidate: Candidate, variant: Variant) -> Target:
        """What bench needs to open a candidate.

        Raises:
            BackendMissing: a resumed run names a backend that is gone.
        """
        summary = self.walk.analyzed.analysis.summary
        runtime = self.tools.runtimes.get(candidate.backend)
        if runtime is None:
            raise BackendMissing(
                f"{candidate.describe()} was measured in this run, and the backend "
                f"'{candidate.backend}' is not installed any more",
                code="FW301",
                remedy="Install it again, or start a new run with `fitwright fit`.",
            )
        return Target(
            candidate=candidate,
            runtime=runtime,
            model=variant_path(variant, self.run.path).resolve(),
            size_bytes=variant.size_bytes,
            flops=summary.flops if not summary.uncounted else None,
            bytes_moved=sum(o.bytes_read + o.bytes_written for o in summary.operators),
        )

    def target_of(self, trial: Trial) -> Target:
        """The target of an earlier trial."""
        variant = self.adapted.variant(trial.candidate.variant_id)
        return self.target(trial.candidate, variant)

    def close(self) -> None:
        """End the incumbent's child."""
        if self._contender is not None:
            self._contender.worker.close()
            self._contender = None

    # --- inside ----------------------------------------------------------------------

    def _incumbent(self) -> Contender | None:
        """The open worker of the best so far; reopened after a final run and after a resume.

        Raises:
            TrialFailed: it no longer opens; without it nothing could be compared.
        """
        best = self.best()
        if best is not None and self._contender is None:
            self._contender = open_contender(self.setup, self.target_of(best))
            self._contender.figures = best.figures
        return self._contender

    def _decide(self, measured: Measurement, incumbent: Contender | None) -> Decision:
        if measured.failure is not None:
            return Decision(False, f"{measured.failure.cause}: {measured.failure.detail}")
        if incumbent is None or measured.comparison is None:
            return Decision(True, "the first candidate that runs and agrees with the original")
        return decide(
            self.walk.analyzed.analysis.need,
            candidate=measured.figures,
            incumbent={**incumbent.figures, **measured.incumbent_figures},
            comparison=measured.comparison,
        )

    def _trial(self, step: Try, measured: Measurement, decision: Decision) -> Trial:
        accepted = "accepted" if decision.accepted else "rejected"
        return Trial(
            number=len(self.trials) + 1,
            round=step.round,
            candidate=step.candidate,
            decision="failed" if measured.failure else accepted,
            reason=decision.reason,
            figures=dict(measured.figures),
            comparison=measured.comparison,
            failure=measured.failure,
            facts=dict(measured.facts),
            latencies_s=tuple(measured.latencies_s),
            seconds=measured.seconds,
        )

    def _unmeasured(self, step: Try, why: str) -> Trial:
        trial = Trial(
            number=len(self.trials) + 1,
            round=step.round,
            candidate=step.candidate,
            decision="rejected",
            reason=why,
        )
        self.record(trial)
        self.tools.console.say(_line(trial))
        return trial

    def _swap(self, measured: Measurement, decision: Decision) -> None:
        """Keep the winner's child open for the next race, end the loser's."""
        if measured.contender is None:
            return
        if decision.accepted:
            self.close()
            self._contender = measured.contender
        else:
            measured.contender.worker.close()

    def _limits(self) -> ChildLimits:
        """Of a challenger's child near the end; a baseline is measured whatever it takes."""
        return trial_limits(self.walk.device, wall_s=min(120.0, max(self.left_s(), 5.0)))

    def _pass_s(self) -> float:
        return max(self.left_s(), min(LEAST_PASS_S, LEAST_PASS_SHARE * self.watch.budget_s))

    def _longest_prefix(self, chain: tuple[Recipe, ...]) -> Variant:
        by_chain = {v.recipes: v for v in self.adapted.variants}
        lengths = range(len(chain) - 1, -1, -1)
        return next(by_chain[chain[:n]] for n in lengths if chain[:n] in by_chain)

    def _changes_nothing(self, start: Variant, chain: tuple[Recipe, ...]) -> str:
        """Why the chain's candidate would be one that was measured already; else empty."""
        if not isinstance(chain[-1], Bf16):
            return ""
        for trial in self.trials:
            if trial.candidate.variant_id == start.id and trial.silent_precision == "bfloat16":
                return f"bf16: {trial.candidate.backend} computes in bfloat16 here by default"
        return ""

    def _calibration(self) -> Path:
        out = self.run.data / CALIBRATION
        if not out.is_file():
            num = num_calibration_queries(self.walk.analyzed.analysis.summary)
            write_calibration(self.walk.analyzed.split.calibration, out, num_queries=num)
        return out

    def _remember(self, chain: tuple[Recipe, ...], made: Variant | Skipped) -> None:
        variants, skipped = self.adapted.variants, self.adapted.skipped
        if isinstance(made, Variant) and made.id in {v.id for v in variants}:
            same = self.adapted.variant(made.id).title
            made = Skipped(
                recipes=chain, reason=f"{title(chain[-1])}: gives the same file as {same}"
            )
        if isinstance(made, Skipped):
            made = made.model_copy(update={"recipes": chain})
            skipped = (*skipped, made)
            self.tools.console.say(f"skipped {made.reason}")
        else:
            variants = (*variants, made)
            self.tools.console.say(
                f"made    {made.title}: {units.bytes_(made.size_bytes)} in "
                f"{units.seconds(made.seconds)}"
            )
        chains = (*self.adapted.chains, chain)
        self.adapted = Adapted(variants=variants, skipped=skipped, chains=chains)
        self.run.write(self.adapted)


def _setup(walk: Walk, tools: Tools, *, wall_s: float) -> Setup:
    analyzed = walk.analyzed
    return Setup(
        need=analyzed.analysis.need,
        device=walk.device,
        samples=analyzed.split.evaluation,
        reference=analyzed.reference,
        metric=metric_of(analyzed, walk.contract),
        executor=tools.executor,
        limits=trial_limits(walk.device, wall_s=wall_s),
        meter=tools.meter,
        clock=tools.clock,
    )


def _line(trial: Trial) -> str:
    latency = trial.figures.get("latency_p50")
    shown = f" {units.seconds(latency.value)}" if latency and latency.value else ""
    name = trial.candidate.describe()
    if trial.silent_precision:
        name += f", computing in {trial.silent_precision}"
    return f"{trial.decision:8s}{shown:>9s}  {name}: {trial.reason}"

"""The loop's state between two steps; everything that must last is in the run's folder."""

from __future__ import annotations

from fitwright.adapt.variants import original_variant, variant_path
from fitwright.bench.padding import evenly_mixed
from fitwright.bench.setup import Measurement, Setup, Target
from fitwright.errors import BackendMissing
from fitwright.flow import allowance, making, mixing
from fitwright.flow.ending import Ending, Judged, ending
from fitwright.flow.races import ChildRaces, Races
from fitwright.flow.steps import Walk, metric_of, trial_limits
from fitwright.flow.stopwatch import Stopwatch
from fitwright.flow.telling import decided, eliminated, line, trial_of, unmeasured
from fitwright.ports import Tools
from fitwright.records.agenda import Chain
from fitwright.records.need import Need
from fitwright.records.recipe import Adapted, Variant
from fitwright.records.run import RunFolder
from fitwright.records.taken_apart import TakenApart
from fitwright.records.trial import Candidate, Trial
from fitwright.tune.explore import Exploration, exploration
from fitwright.tune.gains import baseline_of, proven_gain
from fitwright.tune.hopeless import Grounds, hopeless
from fitwright.tune.judge import breaches
from fitwright.tune.proposal import (
    BASELINE,
    Explore,
    Knowledge,
    Make,
    Step,
    TakeApart,
    Together,
    Try,
    is_lean,
    setting,
)
from fitwright.tune.propose import propose
from fitwright.tune.ranges import too_coarse
from fitwright.tune.standing import Pair, Standing

STORAGE_LIMITS = frozenset({"size", "peak_memory"})


class Search:
    """Adapt, bench and decide, one proposal at a time.

    Attributes:
        standing: what every finished trial of the run says, resumed ones included.
        adapted: every variant made and recipe skipped so far.
        taken_apart: int8 variants whose groups of operators were looked at one by one.
        judged: the last final run of this process, if there was one.
        left_out: chains of recipes that there was no time left to make.
    """

    def __init__(
        self,
        walk: Walk,
        *,
        tools: Tools,
        run: RunFolder,
        watch: Stopwatch,
        races: Races | None = None,
        maker: making.Maker = making.made,
    ) -> None:
        self.walk, self.tools, self.run, self.watch = walk, tools, run, watch
        self.standing = Standing(run.trials())
        self.adapted = run.read(Adapted) if run.has(Adapted) else self._with_original()
        self.taken_apart = run.read(TakenApart) if run.has(TakenApart) else TakenApart()
        self.setup = _setup(walk, tools, wall_s=allowance.WALL_S)
        self.judged: Judged | None = None
        self.left_out: tuple[Chain, ...] = ()
        self._races = races or ChildRaces(target_of=self.target_of)
        self._maker = maker
        self._exploration: tuple[tuple[Pair, ...], Exploration] | None = None
        self._spent: set[tuple[Pair, ...]] = set()
        self._coarse: frozenset[str] = frozenset()
        self._num_looked_at = 0
        self._broken: dict[str, frozenset[str]] = {}
        self._num_judged = 0

    def __enter__(self) -> Search:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _with_original(self) -> Adapted:
        backends = tuple(self.tools.runtimes)
        original = original_variant(self.walk.analyzed.analysis.summary, backends=backends)
        return Adapted(variants=(original,))

    # --- the loop's verbs ------------------------------------------------------------

    def propose(self) -> Step | None:
        """What to do next, or None when nothing is left to try, or nothing that there is time
        for (`left_out`)."""
        self.watch.show(allowance.time_left_s(self))
        while isinstance(step := self._next(), Make) and making.is_too_long(self, step.chain):
            self.left_out += (step.chain,)
        return step

    def _next(self) -> Step | None:
        return propose(
            Knowledge(
                plan=self.walk.plan,
                agenda=self.walk.agenda,
                adapted=self.adapted.without(self.left_out),
                standing=self.standing,
                mixed=mixing.mixes(self),
                taken_apart=frozenset((i.chain, i.backend) for i in self.taken_apart.inquiries),
                spent=frozenset(self._spent),
                coarse=self._too_coarse(),
                barred=self._barred(),
                lean=is_lean(self.trials, budget_s=self.watch.budget_s),
                storage_first=not STORAGE_LIMITS.isdisjoint(self.breaches()),
            )
        )

    def take(self, step: Step) -> list[Trial]:
        """Carry out a proposal; the trials that came of it."""
        if isinstance(step, Make):
            self.make(step.chain)
            return []
        if isinstance(step, TakeApart):
            self.take_apart(step)
            return []
        if isinstance(step, Try):
            return [self.bench(step)]
        return self.explore(step) if isinstance(step, Explore) else self.together(step)

    def make(self, chain: Chain) -> None:
        """Step 4: one chain of recipes, starting from what was already made of it."""
        making.make(self, chain, maker=self._maker)

    def take_apart(self, step: TakeApart) -> None:
        """Step 4: what int8 costs and gains in each group of operators of a variant."""
        inquiries = (*self.taken_apart.inquiries, mixing.inquire(self, step))
        self.taken_apart = TakenApart(inquiries=inquiries)
        self.run.write(self.taken_apart)

    def bench(self, step: Try) -> Trial:
        """Steps 5 and 6: measure one candidate against the best so far, keep it or not."""
        if why := self._hopeless(step):
            return self._told(unmeasured(step, why, number=self._number()))
        return self._raced(step)

    def _raced(self, step: Try) -> Trial:
        setup = self.setup if step.round == BASELINE else allowance.limited(self)
        target = self.target(step.candidate, step.variant)
        budget_s = allowance.race_s(self, step.round)
        best = self.best()
        raced = self._races.alone(setup, target, best=best, budget_s=budget_s)
        gained = proven_gain(self.path(), best) if best else 0.0
        before = self.standing.ratio_to_best(step.candidate.key)
        decision = decided(self._need, raced, gained=gained, before=before)
        self._races.settle(accepted=decision.accepted)
        return self._told(trial_of(step, raced.measured, decision, number=self._number()))

    def explore(self, step: Explore) -> list[Trial]:
        """Steps 5 and 6 for a few settings at once: a cohort, then a race of its survivor."""
        if self._exploration is None or self._exploration[0] != step.pairs:
            self._exploration = step.pairs, self._new_exploration(step)
        asked = self._exploration[1].next(allowance.cohort_size(self), self.standing)
        if not asked:
            self._spent.add(step.pairs)
        tries = [setting(c, self.adapted.variant(c.variant_id)) for c in asked]
        return self.together(Together(tries=tuple(tries)))

    def together(self, step: Together) -> list[Trial]:
        """Steps 5 and 6 for several candidates: cohorts, and a race of each one's survivor."""
        trials, left = [], []
        for one in step.tries:
            if why := self._hopeless(one):
                trials.append(self._told(unmeasured(one, why, number=self._number())))
            else:
                left.append(one)
        size = allowance.cohort_size(self)
        for start in range(0, len(left), size):
            trials += self._cohort(left[start : start + size])
        return trials

    def _cohort(self, tries: list[Try]) -> list[Trial]:
        best = self.best()
        if len(tries) < 2 or best is None:
            return [self._raced(step) for step in tries]
        steps, trials = {step.candidate.key: step for step in tries}, []

        def leave(key: str, measured: Measurement) -> None:
            trials.append(self._told(eliminated(steps[key], measured, number=self._number())))

        survivor = self._races.together(
            allowance.limited(self),
            [self.target(t.candidate, t.variant) for t in tries],
            best=best,
            budget_s=allowance.race_s(self),
            leave=leave,
        )
        return trials + ([self._raced(steps[survivor])] if survivor else [])

    # --- for the flow ----------------------------------------------------------------

    def left_s(self) -> float:
        """Left for trying things; negative when the final run must begin."""
        return self.watch.search_left_s(self.ending())

    def ending(self) -> Ending:
        """What must be set aside for the end of the run."""
        need = self._need
        return ending(self.best(), baseline_of(self.path()), need=need)

    @property
    def trials(self) -> list[Trial]:
        """Every finished trial of the run, resumed ones included."""
        return self.standing.trials

    def record(self, trial: Trial) -> None:
        """From here on the trial is never lost."""
        self.standing.add(self.run.record_trial(trial))

    def best(self) -> Trial | None:
        """The best verified candidate so far."""
        return self.standing.best

    def has_best(self) -> bool:
        """Whether any candidate runs and agrees with the original."""
        return self.best() is not None

    def best_key(self) -> str:
        """Key of the best so far; empty when there is none."""
        best = self.best()
        return best.candidate.key if best else ""

    def breaches(self) -> dict[str, float]:
        """Limits that the best so far breaks for certain; everything when there is none."""
        best, need = self.best(), self._need
        return breaches(need, best.figures) if best else {"nothing runs": 1.0}

    def only_time_counts(self) -> bool:
        """Not while the best breaks another limit: then a slower candidate may be the better."""
        objective = self._need.objective
        return all(n.startswith("latency") or n == objective for n in self.breaches())

    def say_step(self, text: str) -> None:
        """Tell the user which step of the flow begins."""
        self.tools.console.step(text)

    def path(self) -> list[Trial]:
        """Everything accepted so far, the strongest last."""
        return self.standing.path

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
        self._races.close()

    # --- inside ----------------------------------------------------------------------

    @property
    def _need(self) -> Need:
        return self.walk.analyzed.analysis.need

    def _too_coarse(self) -> frozenset[str]:
        """See `tune.ranges`; every trial is looked at once."""
        news, self._num_looked_at = self.trials[self._num_looked_at :], len(self.trials)
        self._coarse |= too_coarse(news, self.adapted, need=self._need)
        return self._coarse

    def _barred(self) -> frozenset[str]:
        """See `Knowledge.barred`; every trial is judged once."""
        if not self.walk.plan.batches:
            return frozenset()
        for trial in (t for t in self.trials[self._num_judged :] if t.figures):
            self._broken[trial.candidate.key] = frozenset(breaches(self._need, trial.figures))
        self._num_judged, kept = len(self.trials), self.breaches().keys()
        return frozenset(key for key, limits in self._broken.items() if limits - kept)

    def _hopeless(self, step: Try) -> str:
        """Why it is not measured; empty when it is."""
        if not self.only_time_counts():
            return ""
        grounds = Grounds(
            standing=self.standing,
            variants=self.adapted.variants,
            summary=self.walk.analyzed.analysis.summary,
            device=self.walk.device,
        )
        return hopeless(step.candidate, step.variant, grounds)

    def _new_exploration(self, step: Explore) -> Exploration:
        return exploration(
            self.walk.plan,
            self.adapted.variants,
            self.standing,
            need=self._need,
            usual=step.usual,
            seed=self.setup.seed,
        )

    def _number(self) -> int:
        return len(self.trials) + 1

    def _told(self, trial: Trial) -> Trial:
        self.record(trial)
        self.tools.console.say(line(trial))
        return trial


def _setup(walk: Walk, tools: Tools, *, wall_s: float) -> Setup:
    analyzed, need = walk.analyzed, walk.analyzed.analysis.need
    samples, reference = evenly_mixed(analyzed.split.evaluation, analyzed.reference, need.padding)
    return Setup(
        need=need,
        device=walk.device,
        samples=samples,
        reference=reference,
        metric=metric_of(analyzed, walk.contract),
        executor=tools.executor,
        limits=trial_limits(walk.device, wall_s=wall_s),
        meter=tools.meter,
        clock=tools.clock,
    )

"""Two candidates in turn, block by block, in one pair of processes after another."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import log
from statistics import median
from typing import Literal, Protocol

from fitwright.bench.block import Block, Pace, interleaved, latency_block
from fitwright.bench.heats import (
    LOOK_LEVEL,
    Floor,
    Heat,
    combined,
    heat_of,
    num_heats_to_decide,
)
from fitwright.bench.noise import NoiseWatch
from fitwright.bench.statistics import (
    FEWEST_PAIRS,
    LEVEL,
    Interval,
    Looks,
    median_ratio_interval,
    spent_alpha,
)
from fitwright.ports import Worker
from fitwright.records.trial import Comparison

SAME = 0.01
FIRST_LOOK = 9
QUICK_ALPHA = 0.01
HEAT_ROUNDS, MOST_ROUNDS, STEP_ROUNDS = 10, 48, 2
FAST_RUN_S = 0.05
CLEAR = 2.0  # times as fast: more than what disturbs one side for a while pretends
PATIENCE = 1.5  # forecasts are made before the floor has sunk to what the heats show
CANDIDATE, INCUMBENT = "candidate", "incumbent"

Outcome = Literal["faster", "slower", "same", "undecided"]


Blocks = tuple[tuple[float, ...], ...]
Round = tuple[tuple[float, ...], tuple[float, ...]]


class Fresh(Protocol):
    """Ends both children and opens others of the same two candidates, fed and warm."""

    def __call__(self, *, candidate_first: bool) -> tuple[Worker, Worker]:
        """Candidate and incumbent. Raises WorkerLost."""
        ...


@dataclass(frozen=True, kw_only=True)
class RaceResult:
    """How it ended, and every time seen, block by block (seconds per query)."""

    comparison: Comparison
    candidate_blocks: Blocks
    incumbent_blocks: Blocks


@dataclass(kw_only=True)
class Card:
    """What a race has seen so far.

    Attributes:
        rounds: of all heats, in order.
        heats: one figure each.
        round_s, opening_s: what a round and the opening of a heat take here.
        confirms: whether one heat has to be confirmed by another.
        level: of the interval that decided, or of the last look.
    """

    floor: Floor
    rounds: list[Round] = field(default_factory=list)
    heats: list[Heat] = field(default_factory=list)
    round_s: float = 0.0
    opening_s: float = 0.0
    confirms: bool = False
    level: float = LOOK_LEVEL

    def add(self, rounds: Sequence[Round], *, seed: int) -> None:
        """One more heat; a later one of too few rounds to tell its own noise is left out."""
        if self.heats and len(rounds) < FEWEST_PAIRS:
            return
        self.rounds += rounds
        self.heats.append(heat_of(_times(rounds), candidate_first=self.candidate_first, seed=seed))

    @property
    def candidate_first(self) -> bool:
        """Who is opened first in the next heat; in the first heat the incumbent is there."""
        return len(self.heats) % 2 == 1

    @property
    def heat_s(self) -> float:
        """What one more heat takes."""
        return self.opening_s + HEAT_ROUNDS * self.round_s

    def interval(self) -> tuple[float, Interval]:
        """Ratio and interval; of a single heat it holds the sign test's interval as well."""
        ratio, interval = combined(self.heats, self.floor, level=self.level)
        if len(self.heats) > 1:
            return ratio, interval
        return ratio, _hull(interval, self.rounds, self.level)

    def unconfirmed(self, outcome: Outcome) -> bool:
        """Whether that needs the word of other processes: one brief heat says it, and it is
        no more than what may disturb one side throughout."""
        if outcome not in ("faster", "slower") or not self.confirms or len(self.heats) > 1:
            return False
        _, interval = self.interval()
        return interval.low <= CLEAR and interval.high >= 1 / CLEAR

    def look(self, *, level: float | None = LOOK_LEVEL) -> Outcome:
        """What all heats say; a loser is dropped at the plain level, which None stops at."""
        self.level = LEVEL
        dropped = classify(self.interval()[1]) == "slower"
        if dropped or level is None:
            return "slower" if dropped else "undecided"
        self.level = level
        return classify(self.interval()[1])

    def more_s(self, *, log_ratio: float | None = None) -> float | None:
        """How much more time would probably decide it; None when none would.

        Args:
            log_ratio: if this were the true one; None: as it looks now.
        """
        same = log(1 + SAME)
        num = num_heats_to_decide(self.heats, self.floor, same=same, log_ratio=log_ratio)
        return None if num is None else (num - len(self.heats)) * self.heat_s

    def hopeless(self, *, left_s: float) -> bool:
        """Whether the time left proves neither what it looks like nor the largest gain that is
        still likely."""
        _, likely = combined(self.heats, self.floor, level=LEVEL)
        hopes = self.more_s(), self.more_s(log_ratio=log(max(likely.high, 1.0)))
        return all(more_s is None or more_s > PATIENCE * left_s for more_s in hopes)


def race(
    candidate: Worker,
    incumbent: Worker,
    *,
    incumbent_name: str,
    pace: Pace,
    block: Block = latency_block,
    fresh: Fresh | None = None,
    floor: Floor | None = None,
    watch: NoiseWatch | None = None,
) -> RaceResult:
    """Candidate against incumbent in interleaved blocks; both warm, both fed.

    A round is one block of each and gives one log-ratio of block medians. A heat is ten
    rounds of one pair of processes (up to four dozen under heavy noise). A difference far
    beyond the floor (what two processes of one file differ by) is decided within the first
    heat, in looks after 9, 11, 13, … rounds; a loser may be dropped after 6, at the plain
    95 % level: that costs an opportunity at worst and claims nothing. Closer ones go on
    with fresh processes of both, in alternating opening order, until the interval over all
    heats decides, the budget is spent, or the end is out of sight. Where runs are fast, a
    heat is over in a second or so, and what disturbs one side may last as long: unless one
    is surely twice as fast, another heat has to confirm it, whatever the budget.

    All looks together claim a false "faster" in less than 2 % of races between equals.

    Args:
        fresh: opens the processes of further heats; None: there is one heat only.
        floor: what the run has learned of the spread between processes; learns from this.
        watch: begun earlier, where more than the race is to count.

    Raises:
        WorkerLost: a child died, named CANDIDATE or INCUMBENT.
    """
    card = Card(floor=floor or Floor(), confirms=_is_brief(pace) and fresh is not None)
    watch = watch or NoiseWatch()
    card.opening_s = candidate.load_s + incumbent.load_s
    end = pace.clock() + pace.budget_s
    outcome = _heat(card, (candidate, incumbent), pace=pace, block=block, end=end)
    if outcome == "undecided":
        outcome = _more_heats(card, pace=pace, block=block, fresh=fresh, end=end, watch=watch)
    return _result(card, incumbent_name, outcome=outcome, watch=watch)


def race_on(
    rounds: Sequence[Round],
    *,
    incumbent_name: str,
    pace: Pace,
    opening_s: float,
    fresh: Fresh,
    floor: Floor,
    watch: NoiseWatch,
    block: Block = latency_block,
) -> RaceResult:
    """A race whose first heat was measured for another purpose, by the same block.

    Args:
        rounds: of that heat.
        pace: of the heats that may follow.
        opening_s: what opening both takes, as far as it is known.
        watch: begun before those rounds.

    Raises:
        WorkerLost: a child died, named CANDIDATE or INCUMBENT.
    """
    card, end = Card(floor=floor, confirms=_is_brief(pace)), pace.clock() + pace.budget_s
    card.opening_s, card.round_s = opening_s, 2 * pace.block_s
    card.add(rounds, seed=pace.seed)
    outcome = _more_heats(card, pace=pace, block=block, fresh=fresh, end=end, watch=watch)
    return _result(card, incumbent_name, outcome=outcome, watch=watch)


def _more_heats(
    card: Card,
    *,
    pace: Pace,
    block: Block,
    fresh: Fresh | None,
    end: float,
    watch: NoiseWatch,
) -> Outcome:
    """What the heat before says; then heat after heat until it is decided or in vain."""
    looks = Looks(first=1)
    while True:
        watch.look()
        outcome = card.look() if looks.due(len(card.heats)) else "undecided"
        begin = pace.clock()
        left_s = end - begin - card.heat_s
        if fresh is not None and card.unconfirmed(outcome):
            end = max(end, begin + card.heat_s)
        elif outcome != "undecided" or fresh is None or left_s < 0 or card.hopeless(left_s=left_s):
            return card.look() if outcome == "undecided" else outcome
        pair = fresh(candidate_first=card.candidate_first)
        card.opening_s = pace.clock() - begin
        _heat(card, pair, pace=pace, block=block, end=end)


def _heat(
    card: Card, pair: tuple[Worker, Worker], *, pace: Pace, block: Block, end: float
) -> Outcome:
    """One heat onto the card; decided only by a quick look in the first."""
    rounds: list[Round] = []
    looks, seed, begin = Looks(first=FIRST_LOOK), pace.seed + len(card.heats), pace.clock()
    outcome: Outcome = "undecided"
    for times in _interleaved_pair(pair, pace=pace, block=block, seed=seed):
        rounds.append((tuple(times[CANDIDATE]), tuple(times[INCUMBENT])))
        due = looks.due(len(rounds))
        if not card.heats and (due or len(rounds) == FEWEST_PAIRS):
            outcome = _quick_look(card, rounds, look=looks.number, seed=seed)
        enough = _enough(rounds, card.floor, seed=seed)
        if outcome != "undecided" or enough or pace.clock() >= end:
            break
    card.round_s = (pace.clock() - begin) / len(rounds)
    card.add(rounds, seed=seed)
    return outcome


def _interleaved_pair(
    pair: tuple[Worker, Worker], *, pace: Pace, block: Block, seed: int
) -> Iterator[dict[str, Sequence[float]]]:
    """Rounds of both; where runs are fast, the first round wakes them up and is left out."""
    rounds = interleaved(
        dict(zip((CANDIDATE, INCUMBENT), pair, strict=True)),
        block,
        seconds=pace.block_s,
        min_runs=3 if _is_brief(pace) else 1,
        forward=random.Random(seed).random() < 0.5,
    )
    if _is_brief(pace):
        next(rounds)
    return rounds


def _is_brief(pace: Pace) -> bool:
    """Whether runs are so fast that a heat is over in a second or a few."""
    return pace.latency_s < FAST_RUN_S


def _enough(rounds: Sequence[Round], floor: Floor, *, seed: int) -> bool:
    """Whether more rounds of these processes would tell less than other processes."""
    num = len(rounds)
    if num < HEAT_ROUNDS or num % STEP_ROUNDS:
        return False
    heat = heat_of(_times(rounds), candidate_first=False, seed=seed)
    return heat.variance <= floor.pair_variance or num >= MOST_ROUNDS


def _times(rounds: Sequence[Round]) -> list[tuple[float, float]]:
    return [(median(ours), median(theirs)) for ours, theirs in rounds]


def log_ratios(rounds: Sequence[Round]) -> list[float]:
    """Of the incumbent's time over the candidate's, round by round."""
    return [log(theirs / ours) for ours, theirs in _times(rounds)]


def classify(interval: Interval) -> Outcome:
    """What an interval of the ratio says: above 1 faster, below 1 slower, within ±1 % same."""
    if interval.low >= 1 - SAME and interval.high <= 1 + SAME:
        return "same"
    if interval.low > 1:
        return "faster"
    return "slower" if interval.high < 1 else "undecided"


def _quick_look(card: Card, rounds: Sequence[Round], *, look: int, seed: int) -> Outcome:
    """What the first heat says so far; look 0 may only drop a loser."""
    so_far = replace(card, rounds=[], heats=[])
    so_far.add(rounds, seed=seed)
    level = 1 - spent_alpha(look, alpha=QUICK_ALPHA) if look else None
    outcome = so_far.look(level=level)
    card.level = so_far.level
    decided = outcome in ("faster", "slower") and not so_far.unconfirmed(outcome)
    return outcome if decided else "undecided"


def _hull(interval: Interval, rounds: Sequence[Round], level: float) -> Interval:
    """Wide enough for both: few rounds look steadier than they are."""
    _, signs = median_ratio_interval(log_ratios(rounds), level=level)
    return Interval(min(interval.low, signs.low), max(interval.high, signs.high))


def _result(card: Card, incumbent: str, *, outcome: Outcome, watch: NoiseWatch) -> RaceResult:
    """The record of a finished race; the floor learns from its heats."""
    ratio, interval = card.interval()
    more_s = card.more_s() if outcome == "undecided" else None
    card.floor.learn(card.heats)
    return RaceResult(
        comparison=Comparison(
            incumbent=incumbent,
            ratio=ratio,
            low=interval.low,
            high=interval.high,
            num_rounds=len(card.rounds),
            outcome=outcome,
            num_heats=len(card.heats),
            more_s=more_s,
            noise=watch.noise(floor=card.floor.spread),
        ),
        candidate_blocks=tuple(ours for ours, _ in card.rounds),
        incumbent_blocks=tuple(theirs for _, theirs in card.rounds),
    )


def compared(log_ratios: Sequence[float], incumbent: str) -> Comparison:
    """The record of a comparison in one pair of processes, never raced to a decision."""
    ratio, interval = median_ratio_interval(log_ratios)
    return Comparison(
        incumbent=incumbent,
        ratio=ratio,
        low=interval.low,
        high=interval.high,
        num_rounds=len(log_ratios),
        outcome=classify(interval),
    )

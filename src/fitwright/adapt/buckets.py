"""Which lengths a model is worth being made for, from the lengths of the contract's queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from fitwright.records.recipe import Buckets, Trim

MOST_BUCKETS = 4  # each costs a compilation, and the memory of one
STEP = 8  # tokens; kernels work on as many rows at once
FEWEST_TOKENS = 4  # of a query, padding included, for any of this to matter
LEAST_SAVED = 0.05  # of all tokens computed, for more than one length to be worth making


def planned(
    lengths: Sequence[int], *, longest: int, mask: str, symbol: str
) -> tuple[Buckets, Trim] | None:
    """What spares the padding of such queries; None where it would save next to nothing.

    Args:
        lengths: tokens of each query without its padding, 1 .. `longest`.
        longest: tokens that every query is padded to.
        mask, symbol: see `Buckets`.
    """
    if longest < FEWEST_TOKENS:
        return None
    chosen = bucket_lengths(lengths, most=MOST_BUCKETS, longest=longest, step=STEP)
    if computed(lengths, chosen) > (1 - LEAST_SAVED) * longest * len(lengths):
        return None
    probes = (max(longest // 4, 1), max(longest // 2, 2), longest)
    return (
        Buckets(mask=mask, symbol=symbol, lengths=chosen),
        Trim(mask=mask, symbol=symbol, lengths=probes),
    )


def computed(lengths: Sequence[int], buckets: Sequence[int]) -> int:
    """Tokens that are computed when each query takes the shortest bucket that holds it."""
    return sum(min(b for b in buckets if b >= length) for length in lengths)


def bucket_lengths(
    lengths: Sequence[int], *, most: int, longest: int, step: int = 1
) -> tuple[int, ...]:
    """At most so many lengths, `longest` among them, for which the fewest tokens are computed.

    Exact, by dynamic programming over the distinct lengths (rounded up to a multiple of
    `step`): O(m d²) for m buckets and d distinct lengths. Of equal choices the one with the
    fewest buckets.

    Args:
        lengths: tokens of each query, 1 .. `longest`.
        most: buckets, at least 1.
        longest: what every query must fit in, whatever the data holds.
    """
    counts = Counter(min(-(-length // step) * step, longest) for length in lengths)
    counts.setdefault(longest, 0)
    ends = sorted(counts)
    below = list(accumulate((counts[end] for end in ends), initial=0))
    # best[j]: fewest tokens for the j shortest distinct lengths, and the buckets that reach it
    best: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, ())}
    answers = []
    for _ in range(most):
        best = {
            j: min(
                (best[i][0] + end * (below[j] - below[i]), (*best[i][1], end))
                for i in best
                if i < j
            )
            for j, end in enumerate(ends, start=1)
            if any(i < j for i in best)
        }
        if len(ends) in best:
            answers.append(best[len(ends)])
    return min(answers, key=lambda answer: (answer[0], len(answer[1])))[1]

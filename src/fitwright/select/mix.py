"""Devices of two kinds that share a rate for less than one kind alone: an exact search.

Every device takes what it can at the slow end of its band with the latency limits kept. For
each pair of kinds every number of the one is tried with the smallest number of the other that
completes the rate, so that the best of the pair is never missed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fitwright import units
from fitwright.records.prospect import Mix, Part, Prospect, Quality

MOST_KINDS = 24
"""Kinds that are paired: the cheapest per inference and the cheapest per device."""
MOST_OF_ONE = 10_000
LEAST_SAVING = 0.005
SHOWN = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kind:
    device_id: str
    takes_per_s: float
    usd_per_s: float
    unmeasured: tuple[Quality, ...] = ()


def mixes(prospects: Sequence[Prospect], *, rate_per_s: float | None) -> tuple[Mix, ...]:
    """Pairs that cost less than the cheapest single kind, cheapest first.

    Args:
        prospects: those likely to meet the contract count.
        rate_per_s: inferences per second to serve; None: nothing to share.
    """
    if rate_per_s is None:
        return ()
    kinds = _kinds(prospects)
    alone = min((_alone_usd(k, rate_per_s) for k in kinds), default=math.inf)
    shared = (_pair(a, b, rate_per_s) for a, b in combinations(_worth_pairing(kinds), 2))
    found = sorted(
        (m for m in shared if m is not None and m[0] < (1 - LEAST_SAVING) * alone),
        key=lambda m: m[0],
    )
    return tuple(_mix(usd, parts, rate_per_s, alone) for usd, parts in found[:SHOWN])


def _kinds(prospects: Sequence[Prospect]) -> list[_Kind]:
    return [
        _Kind(
            device_id=p.device_id,
            takes_per_s=p.planned_per_s,
            usd_per_s=usd,
            unmeasured=p.unmeasured,
        )
        for p in prospects
        if p.expected == "likely meets" and p.planned_per_s and (usd := _full_usd_per_s(p))
    ]


def _full_usd_per_s(prospect: Prospect) -> float | None:
    """Of one device, as paid at the load that it was sized for."""
    return prospect.usd_per_s


def _worth_pairing(kinds: Sequence[_Kind]) -> list[_Kind]:
    by_work = sorted(kinds, key=lambda k: k.usd_per_s / k.takes_per_s)[: MOST_KINDS // 2]
    by_device = sorted(kinds, key=lambda k: k.usd_per_s)[: MOST_KINDS // 2]
    return list({k.device_id: k for k in (*by_work, *by_device)}.values())


def _num(rate_per_s: float, kind: _Kind) -> int:
    return max(0, math.ceil(rate_per_s / kind.takes_per_s * (1 - 1e-9)))


def _alone_usd(kind: _Kind, rate_per_s: float) -> float:
    return _num(rate_per_s, kind) * kind.usd_per_s


def _pair(
    one: _Kind, other: _Kind, rate_per_s: float
) -> tuple[float, tuple[tuple[_Kind, int], ...]] | None:
    """The cheapest numbers of two kinds, both used; None: one alone completes the rate."""
    most = _num(rate_per_s, one)
    if not 1 < most <= MOST_OF_ONE:
        return None
    numbers = np.arange(1, most)
    left = rate_per_s - numbers * one.takes_per_s
    beside = np.ceil(left / other.takes_per_s * (1 - 1e-9))
    usd = numbers * one.usd_per_s + beside * other.usd_per_s
    best = int(np.argmin(usd))
    return float(usd[best]), ((one, int(numbers[best])), (other, int(beside[best])))


def _mix(
    usd_per_s: float, parts: Sequence[tuple[_Kind, int]], rate_per_s: float, alone: float
) -> Mix:
    total = sum(kind.takes_per_s * num for kind, num in parts)
    words = " + ".join(f"{num} x {kind.device_id}" for kind, num in parts)
    saves = 1 - usd_per_s / alone
    return Mix(
        parts=tuple(_parts(parts, total)),
        rate_per_s=total,
        usd_per_s=usd_per_s,
        saves=saves,
        text=f"{words} serve {units.count(rate_per_s, '/s')} for {usd_per_s * 3600:.3g} USD/h, "
        f"{units.share(saves)} less than the cheapest single kind; split the traffic by what "
        "each takes" + _left_open(parts),
    )


def _left_open(parts: Sequence[tuple[_Kind, int]]) -> str:
    """``; accuracy unmeasured on hailo-8``."""
    kinds = [kind for kind, _ in parts if kind.unmeasured]
    names = " and ".join(k.device_id for k in kinds)
    return f"; {kinds[0].unmeasured[0]} unmeasured on {names}" if kinds else ""


def _parts(parts: Sequence[tuple[_Kind, int]], total: float) -> Iterator[Part]:
    for kind, num in parts:
        yield Part(device_id=kind.device_id, num_devices=num, share=kind.takes_per_s * num / total)

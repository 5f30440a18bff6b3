"""The layers of a small network, by the name that tables write."""

from __future__ import annotations

import re

from fitwright.catalog.networks import find_network
from fitwright.perf.boards.mobile import (
    LITE_SIZES,
    Layer,
    Op,
    efficientnet_lite,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
)
from fitwright.records.workload import Workload

DEPTHWISE_SHARE = 0.05
"""Of the multiply-adds of a separable network known by its totals only."""


def layers_of(name: str, *, side: float | None = None) -> tuple[Layer, ...] | None:
    """MobileNets and EfficientNet-Lite at the width and side in the name; others by totals.

    ``mobilenet-v2-0.35-96-non-quantized`` is MobileNet v2 at width 0.35 on images of 96 pixels.
    None: nothing is known by that name.
    """
    lower = name.lower().replace("_", "-")
    if found := re.search(r"efficientnet-?lite-?(\d)", lower):
        level = int(found[1])
        if level in LITE_SIZES:
            given = side or _side(lower[found.end() :])
            return efficientnet_lite(level=level, side=round(given or 0))
    found = re.search(r"mobilenet-?v?([123])(?:-(large|small))?", lower)
    if found and "ssd" not in lower and "deeplab" not in lower:
        return _mobilenet(found, lower[found.end() :], side=side, name=lower)
    network = find_network(name)
    if network is None:
        return None
    return by_totals(network.at_side(side) if side else network)


def _mobilenet(
    found: re.Match[str], rest: str, *, side: float | None, name: str
) -> tuple[Layer, ...]:
    width, pixels = _width(rest), round(side or _side(rest) or 224)
    if found[1] == "1":
        return mobilenet_v1(width=width, side=pixels)
    if found[1] == "2":
        return mobilenet_v2(width=width, side=pixels)
    size = "small" if "small" in name else "large"
    simple = "minimalistic" in name
    return mobilenet_v3(
        size="small" if size == "small" else "large", width=width, side=pixels, minimalistic=simple
    )


def _width(rest: str) -> float:
    """``-0.35-96``, ``-035``, ``-1.4``; 1 where none is written."""
    if found := re.search(r"(?<![\d.])([01]\.\d+)", rest):
        return float(found[1])
    if found := re.search(r"-(0\d{2}|100|140|130|75|50|25|35)(?!\d)", rest):
        return float(found[1]) / 100
    return 1.0


def _side(rest: str) -> float | None:
    """A whole number from 64 to 640 that is no width in percent."""
    numbers = re.findall(r"(?<![\d.])(\d{2,3})(?![\d.])", rest)
    sides = [int(n) for n in numbers if int(n) in range(64, 641) and int(n) not in (75, 100, 140)]
    return float(sides[-1]) if sides else None


def by_totals(network: Workload) -> tuple[Layer, ...]:
    """Equal layers that add up to the totals of the network; its style says of which sorts."""
    count = network.num_layers or 50
    moved = 2 * (network.activations or network.macs / 500)
    shares: dict[Op, float] = {"conv": 1.0}
    if network.style == "depthwise":
        shares = {"pointwise": 1 - DEPTHWISE_SHARE, "depthwise": DEPTHWISE_SHARE}
    elif network.style in ("vit", "window", "recurrent", "ranking"):
        shares = {"pointwise": 1.0}
    numbers = {op: max(1, round(count / len(shares))) for op in shares}
    return tuple(
        Layer(
            op=op,
            macs=network.macs * share / numbers[op],
            weights=network.parameters * share / numbers[op],
            moved=moved / count,
        )
        for op, share in shares.items()
        for _ in range(numbers[op])
    )

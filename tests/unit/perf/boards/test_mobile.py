"""Small networks counted layer by layer: the totals their authors publish."""

from __future__ import annotations

import pytest

from fitwright.perf.boards.mobile import (
    Layer,
    efficientnet_lite,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    rounded,
)


def macs(layers: tuple[Layer, ...]) -> float:
    return sum(x.macs for x in layers) / 1e6


def weights(layers: tuple[Layer, ...]) -> float:
    return sum(x.weights for x in layers) / 1e6


@pytest.mark.parametrize(
    ("layers", "millions", "parameters"),
    [
        (mobilenet_v1(width=1, side=224), 569, 4.24),
        (mobilenet_v1(width=0.25, side=128), 14, 0.47),
        (mobilenet_v2(width=1, side=224), 300, 3.47),
        (mobilenet_v2(width=1.4, side=224), 582, 6.06),
        (mobilenet_v2(width=0.35, side=96), 11, 1.66),
        (mobilenet_v3(size="large", width=1, side=224), 217, 5.4),
        (mobilenet_v3(size="small", width=1, side=224), 56, 2.5),
        (mobilenet_v3(size="large", width=1, side=224, minimalistic=True), 209, 3.9),
        (efficientnet_lite(level=0), 407, 4.7),
        (efficientnet_lite(level=4), 2640, 13.0),
    ],
)
def test_totals_are_those_of_the_papers(
    layers: tuple[Layer, ...], millions: float, parameters: float
) -> None:
    # authors round, and count pooling and biases differently: 9 % covers 11 M against 11.9 M
    assert macs(layers) == pytest.approx(millions, rel=0.09)
    assert weights(layers) == pytest.approx(parameters, rel=0.03)


@pytest.mark.parametrize(("channels", "multiple"), [(11.2, 16), (32, 32), (3, 8), (12, 16)])
def test_channels_are_multiples_of_eight_never_a_tenth_too_few(
    channels: float, multiple: int
) -> None:
    assert rounded(channels) == multiple


def test_smaller_images_cost_less_and_weigh_the_same() -> None:
    small, large = mobilenet_v2(width=1, side=96), mobilenet_v2(width=1, side=224)
    assert macs(small) < macs(large) / 4
    assert weights(small) == weights(large)

"""MobileNet v1, v2, v3 and EfficientNet-Lite, layer by layer, at any width and image size.

Counted by the rules of the papers: arXiv 1704.04861 (v1), 1801.04381 (v2), 1905.02244 (v3), and
of tensorflow/tpu's efficientnet/lite. Channels are rounded to multiples of 8 (never down by over
10 %), ``same`` padding. Squeeze-and-excite adds its two products; batch norms fold into weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Op = Literal["conv", "pointwise", "depthwise", "dense", "other"]
Blocks = Sequence[tuple[int, int, int, int]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One operator of a small network.

    Attributes:
        macs: multiply-adds of one image.
        weights: trained numbers, biases included.
        moved: numbers read and written besides the weights.
    """

    op: Op
    macs: float
    weights: float
    moved: float


def rounded(channels: float, divisor: int = 8) -> int:
    """To a multiple of the divisor, never more than a tenth down."""
    value = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return value + divisor if value < 0.9 * channels else value


@dataclass(slots=True)
class _Stack:
    """Where the image stands while layers are added: channels and side."""

    channels: int
    side: int

    def conv(self, out: int, *, kernel: int, stride: int = 1) -> Layer:
        before = self.channels * self.side**2
        self.side = -(-self.side // stride)
        pixels = self.side**2
        weights = self.channels * out * kernel**2
        op: Op = "pointwise" if kernel == 1 else "conv"
        layer = Layer(
            op=op, macs=weights * pixels, weights=weights + out, moved=before + out * pixels
        )
        self.channels = out
        return layer

    def depthwise(self, *, kernel: int, stride: int) -> Layer:
        before = self.channels * self.side**2
        self.side = -(-self.side // stride)
        after = self.channels * self.side**2
        weights = self.channels * kernel**2
        return Layer(
            op="depthwise",
            macs=kernel**2 * after,
            weights=weights + self.channels,
            moved=before + after,
        )

    def excite(self, squeezed: int) -> Iterator[Layer]:
        pixels, c = self.side**2, self.channels
        yield Layer(op="other", macs=0, weights=0, moved=c * pixels)
        for inputs, outputs in ((c, squeezed), (squeezed, c)):
            weights = inputs * outputs + outputs
            yield Layer(op="dense", macs=inputs * outputs, weights=weights, moved=inputs + outputs)
        yield Layer(op="other", macs=0, weights=0, moved=2 * c * pixels)

    def residual(self) -> Layer:
        return Layer(op="other", macs=0, weights=0, moved=3 * self.channels * self.side**2)

    def pool(self) -> Layer:
        return Layer(op="other", macs=0, weights=0, moved=self.channels * self.side**2)

    def dense(self, outputs: int) -> Layer:
        macs = self.channels * outputs
        moved = self.channels + outputs
        self.channels, self.side = outputs, 1
        return Layer(op="dense", macs=macs, weights=macs + outputs, moved=moved)


V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2))
V2: Blocks = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, repeats, stride."""
V3_LARGE = (
    (3, 16, 16, False, 1),
    (3, 64, 24, False, 2),
    (3, 72, 24, False, 1),
    (5, 72, 40, True, 2),
    (5, 120, 40, True, 1),
    (5, 120, 40, True, 1),
    (3, 240, 80, False, 2),
    (3, 200, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 480, 112, True, 1),
    (3, 672, 112, True, 1),
    (5, 672, 160, True, 2),
    (5, 960, 160, True, 1),
    (5, 960, 160, True, 1),
)
V3_SMALL = (
    (3, 16, 16, True, 2),
    (3, 72, 24, False, 2),
    (3, 88, 24, False, 1),
    (5, 96, 40, True, 2),
    (5, 240, 40, True, 1),
    (5, 240, 40, True, 1),
    (5, 120, 48, True, 1),
    (5, 144, 48, True, 1),
    (5, 288, 96, True, 2),
    (5, 576, 96, True, 1),
    (5, 576, 96, True, 1),
)
"""Kernel, expanded channels, channels, squeeze-and-excite, stride."""
LITE = (
    (3, 1, 16, 1, 1),
    (3, 6, 24, 2, 2),
    (5, 6, 40, 2, 2),
    (3, 6, 80, 3, 2),
    (5, 6, 112, 3, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
)
"""Kernel, expansion, channels, repeats, stride."""
LITE_SIZES = {
    0: (1.0, 1.0, 224),
    1: (1.0, 1.1, 240),
    2: (1.1, 1.2, 260),
    3: (1.2, 1.4, 280),
    4: (1.4, 1.8, 300),
}
"""Width, depth and image side."""


def mobilenet_v1(*, width: float, side: int, classes: int = 1001) -> tuple[Layer, ...]:
    """13 pairs of a depthwise and a pointwise convolution."""
    at = _Stack(3, side)
    layers = [at.conv(rounded(32 * width), kernel=3, stride=2)]
    for channels, stride in (*V1, (1024, 1)):
        layers.append(at.depthwise(kernel=3, stride=stride))
        layers.append(at.conv(rounded(channels * width), kernel=1))
    return (*layers, at.pool(), at.dense(classes))


def mobilenet_v2(*, width: float, side: int, classes: int = 1001) -> tuple[Layer, ...]:
    """17 inverted residuals; the last convolution never narrows below 1,280."""
    at = _Stack(3, side)
    layers = [at.conv(rounded(32 * width), kernel=3, stride=2)]
    for expansion, channels, repeats, first in V2:
        for i in range(repeats):
            stride = first if i == 0 else 1
            layers += inverted(at, expansion, rounded(channels * width), kernel=3, stride=stride)
    layers.append(at.conv(rounded(1280 * max(1.0, width)), kernel=1))
    return (*layers, at.pool(), at.dense(classes))


def inverted(at: _Stack, expansion: int, out: int, *, kernel: int, stride: int) -> Iterator[Layer]:
    """Widen, filter each channel, narrow; added to its input where the shapes agree."""
    inputs = at.channels
    if expansion != 1:
        yield at.conv(inputs * expansion, kernel=1)
    yield at.depthwise(kernel=kernel, stride=stride)
    yield at.conv(out, kernel=1)
    if stride == 1 and inputs == out:
        yield at.residual()


def mobilenet_v3(
    *,
    size: Literal["large", "small"],
    width: float,
    side: int,
    minimalistic: bool = False,
    classes: int = 1001,
) -> tuple[Layer, ...]:
    """Searched blocks; minimalistic: 3x3 kernels only and no squeeze-and-excite."""
    blocks, last = (V3_LARGE, 1280) if size == "large" else (V3_SMALL, 1024)
    at = _Stack(3, side)
    layers = [at.conv(16 if width >= 0.75 else rounded(16 * width), kernel=3, stride=2)]
    for kernel, expanded, channels, excited, stride in blocks:
        inputs, out = at.channels, rounded(channels * width)
        wide = rounded(expanded * width)
        if wide != inputs:
            layers.append(at.conv(wide, kernel=1))
        layers.append(at.depthwise(kernel=3 if minimalistic else kernel, stride=stride))
        if excited and not minimalistic:
            layers += at.excite(rounded(wide / 4))
        layers.append(at.conv(out, kernel=1))
        if stride == 1 and inputs == out:
            layers.append(at.residual())
    layers.append(at.conv(rounded(blocks[-1][1] * width), kernel=1))
    layers += [at.pool(), at.dense(rounded(last * max(1.0, width))), at.dense(classes)]
    return tuple(layers)


def efficientnet_lite(*, level: int, side: int = 0, classes: int = 1000) -> tuple[Layer, ...]:
    """Without squeeze-and-excite; stem and head keep their widths."""
    width, depth, own = LITE_SIZES[level]
    at = _Stack(3, side or own)
    layers = [at.conv(32, kernel=3, stride=2)]
    for index, (kernel, expansion, channels, repeats, first) in enumerate(LITE):
        ends = index in (0, len(LITE) - 1)
        number = repeats if ends else -int(-repeats * depth // 1)
        for i in range(number):
            stride = first if i == 0 else 1
            out = rounded(channels * width)
            layers += inverted(at, expansion, out, kernel=kernel, stride=stride)
    layers.append(at.conv(1280, kernel=1))
    return (*layers, at.pool(), at.dense(classes))

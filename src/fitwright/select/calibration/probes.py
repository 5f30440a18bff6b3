"""What calibration measures: chains of equal layers, and the work that one layer is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fitwright.graph.chains import (
    Layer,
    Stored,
    added_and_normalised,
    added_between_softmaxes,
    convolutions,
    dense,
    guarded,
    normalised,
    plain,
    products,
    recurrent,
    rounded,
    seen_two_ways,
    turned,
    up_and_down,
)
from fitwright.perf.work import OperatorClass, Work

BYTES = {"float32": 4, "bfloat16": 2, "int8": 1}
MOST_FLOPS = 2e9  # of one run of the longer chain, where one layer allows
MOST_WEIGHTS = 16 << 20  # bytes: more than the second cache holds, so that layers meet it cold
MOST_LAYERS = 8


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One chain.

    Attributes:
        family: what its evidence is called; see `Kernel.family`.
        works: kernels of one layer and their families; those of other families are taken off.
        layer: makes it.
        inputs: shapes by name; the chain begins at the first.
        num_layers: of the longer chain; the shorter one has a single layer.
    """

    family: str
    works: tuple[tuple[str, Work], ...]
    layer: Layer
    inputs: Mapping[str, tuple[int, ...]]
    num_layers: int


DENSE: Sequence[tuple[tuple[int, int], tuple[int, ...]]] = (
    ((64, 64), (1, 128, 1024)),
    ((256, 256), (1, 8, 32, 128, 512, 2048, 8192)),
    ((384, 1536), (1, 16, 64, 128, 197, 1024)),
    ((768, 768), (1, 8, 32, 64, 128, 256, 512, 2048)),
    ((768, 3072), (1, 4, 16, 64, 128, 512, 1024)),
    ((2048, 2048), (1, 8, 64, 256, 512)),
    ((512, 16384), (1, 128)),
)
"""Weights (k, n) and the rows m that meet them: square and skinny, 38 shapes."""

CONVOLUTIONS: Sequence[tuple[int, int, int, int, int]] = (
    (64, 64, 56, 3, 1),
    (128, 128, 28, 3, 1),
    (256, 256, 14, 3, 1),
    (512, 512, 7, 3, 1),
    (32, 32, 112, 3, 1),
    (64, 64, 128, 3, 1),
    (128, 128, 28, 3, 8),
    (64, 256, 56, 1, 1),
    (128, 512, 28, 1, 1),
    (256, 1024, 14, 1, 1),
    (512, 2048, 7, 1, 1),
    (24, 144, 56, 1, 1),
    (96, 576, 14, 1, 1),
    (160, 960, 7, 1, 1),
    (128, 512, 28, 1, 8),
    (1, 16, 8, 3, 1),
)
"""Channels in and out, side of the picture, side of the window, batch."""

DEPTHWISE: Sequence[tuple[int, int, int]] = (
    (32, 112, 1),
    (144, 56, 1),
    (192, 28, 1),
    (576, 14, 1),
    (960, 7, 1),
    (192, 28, 8),
)
"""Channels, side of the picture, batch; windows of 3 x 3."""

UPWARD: Sequence[tuple[int, int, int]] = ((512, 8, 1), (256, 16, 1), (128, 32, 1), (64, 64, 1))
"""Transposed convolutions: channels, side, batch; windows of 2 x 2 that do not overlap."""

HEADS: Sequence[tuple[int, int, int]] = (
    (4, 64, 32),
    (6, 197, 64),
    (12, 197, 64),
    (48, 65, 64),
    (8, 128, 64),
    (12, 128, 64),
    (12, 512, 64),
    (96, 128, 64),
)
"""Attention written out: heads times batch, positions, size of a head."""

RECURRENT: Sequence[tuple[int, int, int]] = (
    (32, 1, 64), (128, 1, 128), (128, 8, 128), (64, 1, 256), (64, 8, 256), (32, 1, 512),
)  # fmt: skip
"""Steps, batch, hidden units of a bidirectional LSTM."""

SQUARES: Sequence[tuple[int, int]] = ((4, 64), (12, 128), (12, 197), (12, 512))
"""Heads and positions of scores, for softmax and what is added to them."""
ROWS: Sequence[tuple[int, int]] = ((16, 256), (128, 384), (128, 768), (1024, 768), (4096, 768))
"""Rows and width of activations, for norms and activations."""


def probes(dtype: str) -> tuple[Probe, ...]:
    """All chains for one dtype; integers have products and convolutions only."""
    found = [*_dense(dtype), *_convolutions(dtype), *_depthwise(dtype), *_products(dtype)]
    if dtype != "int8":
        found += [*_softmax(dtype), *_plain(dtype), *_up(dtype), *_recurrent(dtype)]
    if dtype == "float32":
        found += [*_guarded(dtype), *_rounded(), *_views()]
    return tuple(found)


def stored(dtype: str) -> Stored:
    """How the file holds it: bfloat16 is made of float32 by the backend."""
    return "int8" if dtype == "int8" else "float32"


def _num_layers(works: Sequence[tuple[str, Work]], dtype: str) -> int:
    """As many as fit the time and the weights; two at least, so that there is a slope."""
    flops = sum(w.flops for _, w in works)
    weights = sum(float(w.n * w.k * w.num_batches * BYTES[dtype]) for f, w in works if w.k > 1)
    by_time = MOST_FLOPS / max(flops, 1.0)
    by_weights = MOST_WEIGHTS / max(weights, 1.0)
    return int(min(MOST_LAYERS, max(2.0, min(by_time, by_weights))))


def _work(
    kind: OperatorClass, dtype: str, m: int, k: int, n: int, *, count: int = 1, window: int = 1
) -> Work:
    """Independent products with each operand once.

    Args:
        count: how many.
        window: terms of a convolution's window: each value is read once and used so often.
    """
    return Work(
        operator_class=kind,
        dtype=dtype,
        flops=2.0 * m * n * k * count,
        bytes_moved=float(BYTES[dtype] * count * (m * k // window + k * n + m * n)),
        m=m,
        n=n,
        k=k,
        num_batches=count,
    )


def _traffic(dtype: str, num_elements: int) -> Work:
    """So many elements read and written together."""
    moved = float(BYTES[dtype] * num_elements)
    return Work(operator_class="memory", dtype=dtype, flops=0.0, bytes_moved=moved)


def _dense(dtype: str) -> Iterator[Probe]:
    for (k, n), rows in DENSE:
        for m in rows:
            works = tuple(("gemm", _work("gemm", dtype, m, *kn)) for kn in ((k, n), (n, k)))
            yield _probe("gemm", works, dense(k, n), {"x": (m, k)}, dtype)


def _convolutions(dtype: str) -> Iterator[Probe]:
    for c, d, side, window, batch in CONVOLUTIONS:
        m, taps = batch * side**2, window**2
        ways = ((c, d), (d, c)) if c != d else ((c, c),)
        works = tuple(
            ("conv", _work("conv", dtype, m, here * taps, there, window=taps))
            for here, there in ways
        )
        layer = convolutions(c, d, kernel=window)
        yield _probe("conv", works, layer, {"x": (batch, c, side, side)}, dtype)


def _depthwise(dtype: str) -> Iterator[Probe]:
    for c, side, batch in DEPTHWISE:
        work = _work("depthwise", dtype, batch * side**2, 9, 1, count=c, window=9)
        layer = convolutions(c, c, kernel=3, groups=c)
        yield _probe(
            "depthwise", (("depthwise", work),), layer, {"x": (batch, c, side, side)}, dtype
        )


def _up(dtype: str) -> Iterator[Probe]:
    for c, side, batch in UPWARD:
        up = _work("conv", dtype, batch * side**2, c, 4 * c)
        down = _traffic(dtype, 5 * batch * c * side**2)
        works = (("conv_transpose", up), ("pool", down))
        yield _probe("conv_transpose", works, up_and_down(c), {"x": (batch, c, side, side)}, dtype)


def _products(dtype: str) -> Iterator[Probe]:
    for heads, s, d in HEADS:
        works = tuple(
            ("products", _work("gemm", dtype, s, k, n, count=heads)) for k, n in ((d, s), (s, d))
        )
        inputs = {"x": (heads, s, d), "kt": (heads, d, s), "v": (heads, s, d)}
        yield _probe("products", works, products, inputs, dtype)


def _recurrent(dtype: str) -> Iterator[Probe]:
    for steps, batch, hidden in RECURRENT:
        n, k, elements = 4 * hidden, 3 * hidden, steps * batch * hidden
        work = Work(
            operator_class="recurrent",
            dtype=dtype,
            flops=2.0 * 2 * steps * batch * n * k,
            bytes_moved=float(BYTES[dtype] * (2 * n * k + 4 * elements)),
            m=batch,
            n=n,
            k=k,
            num_batches=2,
            num_steps=steps,
        )
        works = (("recurrent", work), ("move", _traffic(dtype, 4 * elements)))
        yield _probe(
            "recurrent", works, recurrent(hidden), {"x": (steps, batch, 2 * hidden)}, dtype
        )


def _softmax(dtype: str) -> Iterator[Probe]:
    for heads, s in SQUARES:
        size, shape = heads * s * s, (heads, s, s)
        soft = ("softmax", _traffic(dtype, 2 * size))
        yield _probe("softmax", (soft,), plain("Softmax", axis=-1), {"x": shape}, dtype)
        works = (("elementwise", _traffic(dtype, 3 * size)), soft)
        inputs = {"x": shape, "other": shape}
        yield _probe("elementwise", works, added_between_softmaxes, inputs, dtype)


def _guarded(dtype: str) -> Iterator[Probe]:
    for heads, s in SQUARES:
        size, shape = heads * s * s, (heads, s, s)
        is_nan = Work(operator_class="memory", dtype=dtype, flops=0.0, bytes_moved=5.0 * size)
        where = Work(operator_class="memory", dtype=dtype, flops=0.0, bytes_moved=9.0 * size)
        works = (("elementwise", is_nan), ("where", where))
        yield _probe("where", works, guarded, {"x": shape}, dtype)


def _rounded() -> Iterator[Probe]:
    """Pairs that no product absorbs; floats in between."""
    for rows, width in ROWS:
        size = rows * width
        one = Work(operator_class="memory", dtype="float32", flops=0.0, bytes_moved=5.0 * size)
        works = (
            ("quantise", one),
            ("quantise", one),
            ("transcendental", _traffic("float32", 2 * size)),
        )
        yield _probe("quantise", works, rounded, {"x": (rows, width)}, "float32")


def _views() -> Iterator[Probe]:
    """Reshapes, which move nothing and yet are started; see `Profile`."""
    for rows, width in ROWS[:3]:
        yield _probe("view", (), seen_two_ways(rows, width), {"x": (rows, width)}, "float32")


def _plain(dtype: str) -> Iterator[Probe]:
    for rows, width in ROWS:
        work, shape = _traffic(dtype, 2 * rows * width), {"x": (rows, width)}
        scaled = _traffic(dtype, 2 * rows * width + 2 * width)
        yield _probe("norm", (("norm", scaled),), normalised(width), shape, dtype)
        summed = (("skip_norm", _traffic(dtype, 3 * rows * width + 2 * width)),)
        both = {**shape, "other": (rows, width)}
        yield _probe("skip_norm", summed, added_and_normalised(width), both, dtype)
        yield _probe("transcendental", (("transcendental", work),), plain("Erf"), shape, dtype)
        heads = (rows, 8, width // 8)
        yield _probe("move", (("move", work),), turned(*heads), {"x": (1, *heads)}, dtype)
    for c, side in ((64, 112), (64, 56), (256, 28), (512, 14)):
        work = _traffic(dtype, 2 * c * side**2)
        layer = plain("MaxPool", kernel_shape=[3, 3], pads=[1] * 4)
        yield _probe("pool", (("pool", work),), layer, {"x": (1, c, side, side)}, dtype)


def _probe(
    family: str,
    works: tuple[tuple[str, Work], ...],
    layer: Layer,
    inputs: Mapping[str, tuple[int, ...]],
    dtype: str,
) -> Probe:
    return Probe(
        family=family,
        works=works,
        layer=layer,
        inputs=inputs,
        num_layers=_num_layers(works, dtype),
    )

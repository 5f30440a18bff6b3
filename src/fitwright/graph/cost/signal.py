"""Fourier transforms and windows."""

from __future__ import annotations

import math
from collections.abc import Mapping

from fitwright.graph.cost.operator import Cost, Key, Operator, Rule


def _fft_flops(length: int) -> int:
    """5 n log2 n for a complex transform of length n (Cooley and Tukey)."""
    return 5 * length * max(1, math.ceil(math.log2(max(length, 2))))


def dft(op: Operator) -> Cost:
    """Transforms along one axis; a real input or one-sided output costs half."""
    dims, out = op.dims(0), op.out_dims()
    axis = op.number("axis", 1)
    if op.has(2):
        axis = op.data(2)[0]
    elif op.opset >= 20:
        axis = -2
    length = op.data(1)[0] if op.has(1) else max(dims[axis], out[axis])
    rows = math.prod(out[:-1]) // max(out[axis], 1)
    half = 2 if dims[-1] == 1 or op.number("onesided", 0) else 1
    return Cost(elementwise_flops=rows * _fft_flops(length) // half)


def stft(op: Operator) -> Cost:
    """A windowed transform per frame."""
    batch, frames, bins, _ = op.out_dims()
    onesided = op.number("onesided", 1)
    length = op.data(3)[0] if op.has(3) else op.dims(2)[0] if op.has(2) else 2 * (bins - 1)
    per = _fft_flops(length) // (2 if onesided else 1) + length * op.has(2)
    return Cost(elementwise_flops=batch * frames * per)


def window(op: Operator) -> Cost:
    """A few cosines per point: 4 FLOP for each term of the window."""
    terms = 3 if op.kind == "BlackmanWindow" else 2
    return Cost(elementwise_flops=4 * terms * op.out_size())


def mel_weights(op: Operator) -> Cost:
    """Two slopes per matrix element, and the mel scale per band: about 4 FLOP each."""
    return Cost(elementwise_flops=4 * op.out_size())


RULES: Mapping[Key, Rule] = {
    ("", "DFT"): dft,
    ("", "STFT"): stft,
    **{("", kind): window for kind in ("BlackmanWindow", "HannWindow", "HammingWindow")},
    ("", "MelWeightMatrix"): mel_weights,
}

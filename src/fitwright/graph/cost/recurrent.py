"""Recurrent layers: RNN, GRU, LSTM, in one or both directions.

Per step and direction: the products with W (input) and R (state) are matmul-like; biases,
gates and state updates are elementwise. All sequences are counted at full length.
"""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.graph.cost.operator import Cost, Key, Operator, Rule
from fitwright.records.model import Product

_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_STATE_FLOPS = {"RNN": 1 + 1, "GRU": 3 + 2 * 4 + 1 + 4, "LSTM": 4 + 3 * 4 + 1 + 5}
"""Per hidden unit and step: adding the two products of each gate, a sigmoid (4) or tanh (1)
per gate, and the state update. GRU: r*h, (1-z)*n + z*h. LSTM: f*c + i*g, o * tanh(c)."""


def recurrent(op: Operator) -> Cost:
    """X (steps, batch, input), W (directions, gates * hidden, input), R, optional B and P."""
    first, second, _ = op.dims(0)
    steps, batch = (second, first) if op.number("layout", 0) else (first, second)
    directions, rows, width = op.dims(1)
    hidden = op.dims(2)[2]
    trips = directions * steps * batch
    per_unit = _STATE_FLOPS[op.kind] + 2 * _GATES[op.kind] * op.has(3) + 6 * op.has(7)
    return Cost(
        flops=2 * trips * rows * (width + hidden),
        elementwise_flops=trips * hidden * per_unit,
        product=Product(
            m=batch, n=rows, k=width + hidden, num_products=directions, num_steps=steps
        ),
    )


def dynamic_quantized_lstm(op: Operator) -> Cost:
    """com.microsoft DynamicQuantizeLSTM: W and R are stored turned, (directions, in, rows)."""
    steps, batch, width = op.dims(0)
    directions, _, rows = op.dims(1)
    hidden = op.dims(2)[1]
    trips = directions * steps * batch
    per_unit = _STATE_FLOPS["LSTM"] + 2 * _GATES["LSTM"] * op.has(3)
    quantize = 5 * trips * (width + hidden)
    return Cost(
        flops=2 * trips * rows * (width + hidden),
        elementwise_flops=trips * hidden * per_unit + quantize,
        product=Product(
            m=batch, n=rows, k=width + hidden, num_products=directions, num_steps=steps
        ),
        dtype="int8",
    )


RULES: Mapping[Key, Rule] = {
    **{("", kind): recurrent for kind in _GATES},
    ("com.microsoft", "DynamicQuantizeLSTM"): dynamic_quantized_lstm,
}

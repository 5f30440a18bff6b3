"""What one pass of a transformer does without fused kernels: products, and what moves between.

Counted from the shapes, kernel by kernel, as PyTorch's modules run them eagerly: each kernel
reads its inputs from memory and writes its output back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fitwright.records.transformer import Transformer

SCORE_MOVES = 8
"""Reads and writes of each attention score beside the two products: the first product writes
it, scale, mask and softmax read and write it, the second product reads it."""
BIAS_MOVES = 4
"""Further ones of encoder-decoders (T5, Switch): the positions' bias is made and added."""
HIDDEN_MOVES = 20
"""Of each number of the hidden state per block: two normalisations (2 each), two residual sums
(3 each), splitting into heads (6) and joining them (2), biases (2)."""
EXPERT_MOVES = 10
"""Of each number of the hidden state: gathered for an expert and scattered back, per product."""
GELU_MOVES = {"unfused": 18, "fused": 2}
"""Of each number inside the feed-forward part: GPT-2 writes GELU's tanh form as eight kernels,
BERT and OPT call one."""
KERNELS = {"encoder": 24, "decoder": 36, "encoder_decoder": 60}
"""Kernels per block, each at least a launch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Product:
    """`count` products with weights: m rows of activations, n columns and k rows of weights."""

    m: float
    n: float
    k: float
    count: float

    @property
    def flops(self) -> float:
        """1 MAC = 2 FLOP."""
        return 2 * self.m * self.n * self.k * self.count


@dataclass(frozen=True, kw_only=True, slots=True)
class Pass:
    """One forward pass over a batch.

    Attributes:
        products: with weights.
        attention_flops: over the full square of tokens, as eager kernels count it.
        bytes_moved: of everything that is no product, 4 bytes a number.
        weight_bytes: read once.
        num_kernels: one after the other.
    """

    products: tuple[Product, ...]
    attention_flops: float
    bytes_moved: float
    weight_bytes: float
    num_kernels: float

    @property
    def flops(self) -> float:
        """Of all products, with weights and between tokens."""
        return sum(p.flops for p in self.products) + self.attention_flops


def forward(
    shape: Transformer, *, batch: float, tokens: int, width: float = 4, fused: bool = False
) -> Pass:
    """One forward pass of `batch` sequences of `tokens` each.

    Args:
        shape: encoder and decoder blocks are alike; a decoder that looks at an encoder has a
            second attention.
        batch: sequences; a share of one where several devices divide the work.
        tokens: per sequence, on both sides of an encoder-decoder.
        width: bytes of a number.
        fused: neighbouring elementwise kernels are one.
    """
    blocks = shape.num_layers + shape.num_encoder_layers
    attentions = blocks + (shape.num_layers if shape.num_encoder_layers else 0)
    rows = batch * tokens
    scores = attentions * batch * shape.num_heads * tokens**2
    gelu = GELU_MOVES["unfused" if _writes_gelu_out(shape) and not fused else "fused"]
    sparse = blocks / shape.expert_every if shape.num_experts > 1 else 0.0
    bias = BIAS_MOVES if shape.style == "encoder_decoder" else 0
    moves = scores * (SCORE_MOVES + bias - (2 if fused else 0))
    moves += rows * shape.hidden * (blocks * HIDDEN_MOVES + sparse * EXPERT_MOVES)
    moves += blocks * rows * shape.ffn * gelu + 2 * rows * _head_width(shape)
    products = linear_products(shape, rows=rows)
    weights = sum(p.n * p.k * p.count for p in products)
    weights += sparse * (shape.num_experts - 1) * shape.ffn_parameters
    return Pass(
        products=products,
        attention_flops=4 * scores * shape.head_size,
        bytes_moved=width * moves,
        weight_bytes=width * weights,
        num_kernels=KERNELS[shape.style] * blocks + sparse * shape.num_experts * 6,
    )


def linear_products(shape: Transformer, *, rows: float) -> tuple[Product, ...]:
    """Every product with weights; GPT projects queries, keys and values in one."""
    blocks = shape.num_layers + shape.num_encoder_layers
    attentions = blocks + (shape.num_layers if shape.num_encoder_layers else 0)
    h, queries = shape.hidden, shape.num_heads * shape.head_size
    keys = shape.num_kv_heads * shape.head_size
    if _writes_gelu_out(shape):
        inputs = [Product(m=rows, n=queries + 2 * keys, k=h, count=attentions)]
    else:
        inputs = [
            Product(m=rows, n=queries, k=h, count=attentions),
            Product(m=rows, n=keys, k=h, count=2 * attentions),
        ]
    sparse = blocks / shape.expert_every if shape.num_experts > 1 else 0.0
    ups = shape.num_ffn_matrices - 1
    parts = [(rows, blocks - sparse)]
    if sparse:
        active = shape.num_active_experts / shape.num_experts
        parts.append((rows * active, sparse * shape.num_experts))
    inner = [
        product
        for m, count in parts
        if count > 0
        for product in (
            Product(m=m, n=shape.ffn, k=h, count=ups * count),
            Product(m=m, n=h, k=shape.ffn, count=count),
        )
    ]
    out = Product(m=rows, n=h, k=queries, count=attentions)
    head = [Product(m=rows, n=_head_width(shape), k=h, count=1)] if _head_width(shape) else []
    return (*inputs, out, *inner, *head)


TILES: tuple[tuple[int, int, float], ...] = ((128, 128, 1.0), (128, 64, 0.9), (64, 64, 0.8))
"""Rows and columns of a kernel's tile and what it reaches of the largest tile's rate."""
SPLITS = (1, 2, 4, 8, 16)
"""Into how many parts a kernel may cut the sum, so that more tiles work at once."""
LEAST_SUM = 512
"""Terms of a sum that are worth a tile of their own."""
SPLIT_RATE = 0.9
"""What is left of the rate when the parts of a sum have to be added up."""


def filled(product: Product, *, num_units: float, parts: int = 1) -> float:
    """Share of the units that work on a product while it runs, by its best tile.

    The last wave of tiles leaves units idle: 64 tiles on 108 units keep 59 % of them busy.
    """
    best = 0.0
    for tall, wide, rate in TILES:
        tiles = math.ceil(product.m / tall) * math.ceil(product.n / parts / wide)
        for split in SPLITS:
            if split > 1 and product.k / split < LEAST_SUM:
                break
            waves = math.ceil(tiles * split / num_units)
            kept = rate * (SPLIT_RATE if split > 1 else 1.0)
            best = max(best, kept * tiles * split / (num_units * waves))
    return best


def _head_width(shape: Transformer) -> int:
    """Columns of the product at the end; encoders here end with their hidden state."""
    return 0 if shape.style == "encoder" else shape.vocab


def _writes_gelu_out(shape: Transformer) -> bool:
    """GPT-2's implementation, which GPT-3 shapes are run with, and no other."""
    return "gpt" in shape.name.lower()

"""How weights and the cache of keys and values are stored: bits with their scales, and what
arithmetic they run in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Arithmetic = Literal["float16", "float8", "float4", "int8", "float32"]
Group = Literal["float16", "float8", "float4", "int8", "int8w", "int4w", "float32"]
"""Formats whose kernels reach alike shares of the peaks; a ``w``: weights only, multiplied in
16 bits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """One way to store a language model.

    Attributes:
        bits: of one weight in the blocks, scales and zero points included.
        head_bits: of one weight of the output projection.
        arithmetic: of the products; ``float16`` stands for bfloat16 too.
        group: see `Group`.
        kv_bytes: of one element of the cache.
        attention_bits: of one weight of the attention, where only the feed-forward part is
            narrow (gpt-oss); 0: as `bits`.
    """

    name: str
    bits: float
    head_bits: float
    arithmetic: Arithmetic
    group: Group
    kv_bytes: float = 2.0
    attention_bits: float = 0.0


LLAMA_CPP_BITS = {
    "f32": 32.0,
    "f16": 16.0,
    "bf16": 16.0,
    "q8_0": 8.5,
    "q6_k": 6.5625,
    "q5_k_m": 5.69,
    "q5_k_s": 5.54,
    "q5_k": 5.69,
    "q5_1": 6.0,
    "q5_0": 5.5,
    "q4_k_m": 4.85,
    "q4_k_s": 4.58,
    "q4_k": 4.85,
    "q4_1": 5.0,
    "q4_0": 4.55,
    "q3_k_l": 4.27,
    "q3_k_m": 3.91,
    "q3_k_s": 3.5,
    "q3_k": 3.91,
    "q2_k": 3.0,
    "iq4_nl": 4.5,
    "iq4_xs": 4.25,
    "iq3_m": 3.66,
    "iq3_s": 3.44,
    "iq3_xs": 3.3,
    "iq3_xxs": 3.06,
    "iq2_m": 2.7,
    "iq2_s": 2.5,
    "iq2_xs": 2.31,
    "iq2_xxs": 2.06,
    "iq1_m": 1.75,
    "iq1_s": 1.56,
    "mxfp4": 4.25,
}
"""Bits per weight of the file types of llama.cpp, as its documentation of `quantize` and the
layouts of its blocks give them (q8_0: 32 weights of 8 bits and a scale of 16)."""


_LLAMA_CPP_WORDS = {
    "fp16": "f16",
    "fp32": "f32",
    "mxfp4_moe": "mxfp4",
    **dict.fromkeys(("4bit", "4_bit", "int4", "q4"), "q4_0"),
    **dict.fromkeys(("8bit", "8_bit", "int8", "q8"), "q8_0"),
}
_SIZES = {"small": "s", "medium": "m", "large": "l"}


def _llama_cpp_key(quant: str) -> str:
    """``Q4_K - Medium`` -> q4_k_m; ``mostly Q4_0`` -> q4_0; ``IQ4_XS - 4.25 bpw`` -> iq4_xs;
    ``UD-Q4_K_XL`` -> q4_k_xl; the layouts for Arm (``Q4_0_4_8``) have the size of q4_0."""
    key = re.sub(r"\.gguf$|\b(?:mostly|all|gguf|ud)\b|[\d.]+ *bpw", " ", quant.strip().lower())
    key = re.sub(r"[\s\-.]+", "_", key).strip("_")
    key = re.sub(r"_(small|medium|large)$", lambda found: "_" + _SIZES[found[1]], key)
    key = re.sub(r"^(q4_0)_[48]_[48]$|^(q\d_k)_xl$", lambda m: m[1] or f"{m[2]}_l", key)
    return _LLAMA_CPP_WORDS.get(key, key)


def llama_cpp_format(quant: str) -> Format | None:
    """A file type of llama.cpp: ``Q4_K_M``, ``Q4_K - Medium``, ``q8_0``, ``F16`` …; None:
    unknown. A larger variant (``_L``) has the blocks of the medium one."""
    key = _llama_cpp_key(quant)
    stored = key if key in LLAMA_CPP_BITS else re.sub(r"_(?:l|s)$", "_m", key)
    stored = stored if stored in LLAMA_CPP_BITS else re.sub(r"_m$", "", stored)
    bits = LLAMA_CPP_BITS.get(stored)
    if bits is None:
        return None
    if bits >= 16:
        full = bits == 32
        return Format(
            name=key,
            bits=bits,
            head_bits=bits,
            arithmetic="float32" if full else "float16",
            group="float32" if full else "float16",
        )
    # the output projection is kept at 6.5 bits at least (Q6_K)
    return Format(
        name=key,
        bits=bits,
        head_bits=max(bits, 6.5625),
        arithmetic="float16",
        group="int8w" if bits > 7 else "int4w",
    )


def _scale_bits(text: str) -> float:
    """Scale and zero point of 16 bits each, per group of weights (``g32``, ``g128``)."""
    found = re.search(r"g(?:roup)?[\s_=-]*(\d+)", text)
    return 32.0 / int(found[1]) if found else 32.0 / 128


def read_format(text: str | None) -> Format | None:
    """A precision as tables write it; None stands for 16 bits, an unknown word gives None back.

    Knows ``bf16``, ``fp16``, ``int8``, ``int8 weight-only``, ``int8 dynamic act+weight``,
    ``int4 g32``, ``w4a16``, ``fp8``, ``fp8_block``, ``nvfp4``, ``awq``, ``gptq-int8``, ``nf4``,
    and the file types of llama.cpp.
    """
    key = (text or "bf16").strip().lower().replace("float", "fp")
    if re.fullmatch(r"(?:ud-)?i?q\d_.*", key):
        return llama_cpp_format(key)
    if re.search(r"nvfp4|mxfp4|fp4", key):
        return Format(name=key, bits=4.5, head_bits=16, arithmetic="float4", group="float4")
    if re.search(r"w4a8", key):
        return Format(name=key, bits=4.25, head_bits=16, arithmetic="int8", group="int8")
    eight = re.search(r"(?:gptq|awq|bnb).*(?:int8|8[ -]?bit)", key)
    if not eight and re.search(r"int4|uint4|w4|awq|gptq|4[ -]?bit|hqq|nf4", key):
        bits = 4 + _scale_bits(key)
        return Format(name=key, bits=bits, head_bits=16, arithmetic="float16", group="int4w")
    if re.search(r"fp8|e4m3|f8", key):
        return Format(name=key, bits=8, head_bits=16, arithmetic="float8", group="float8")
    if re.search(r"int8 dyn|w8a8|smoothquant|sq", key):
        return Format(name=key, bits=8, head_bits=16, arithmetic="int8", group="int8")
    if re.search(r"int8|w8|8[ -]?bit|q8", key):
        return Format(name=key, bits=8, head_bits=16, arithmetic="float16", group="int8w")
    if re.search(r"bf16|fp16|f16|bfp16|16[ -]?bit|half", key):
        return Format(name=key, bits=16, head_bits=16, arithmetic="float16", group="float16")
    if re.search(r"fp32|f32|tf32", key):
        return Format(name=key, bits=32, head_bits=32, arithmetic="float32", group="float32")
    return None

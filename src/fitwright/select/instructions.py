"""Instruction sets under one name each, whatever the operating system calls them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# In the order people read them. The names are those of Linux's /proc/cpuinfo, except
# `neon`, which stands for `asimd` too.
KNOWN: tuple[str, ...] = (
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx_vnni",
    "avx_vnni_int8",
    "avx_ne_convert",
    "avx512f",
    "avx512bw",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "amx_fp16",
    "neon",
    "asimddp",
    "asimdhp",
    "i8mm",
    "bf16",
    "sve",
    "sve2",
    "svei8mm",
    "svebf16",
    "sme",
    "rvv",
)
_ALIASES: Mapping[str, str] = {
    "asimd": "neon",
    "sse4.2": "sse4_2",
    "avx1.0": "avx",
    "avx512_fp16": "avx512_fp16",
    "avx512fp16": "avx512_fp16",
    "avx512vnni": "avx512_vnni",
    "avx512bf16": "avx512_bf16",
    "avxvnni": "avx_vnni",
    # macOS: hw.optional.arm.<name>
    "advsimd": "neon",
    "feat_dotprod": "asimddp",
    "feat_fp16": "asimdhp",
    "feat_i8mm": "i8mm",
    "feat_bf16": "bf16",
    "feat_sme": "sme",
}


def instruction_sets(flags: Iterable[str]) -> tuple[str, ...]:
    """Those that matter for inference, normalised, in the order of `KNOWN`."""
    lowered = {flag.lower() for flag in flags}
    found = {_ALIASES.get(flag, flag) for flag in lowered}
    return tuple(name for name in KNOWN if name in found)


def has_bfloat16(names: Iterable[str]) -> bool:
    """Whether the CPU multiplies bfloat16 in hardware."""
    return bool({"avx512_bf16", "amx_bf16", "bf16", "svebf16"} & set(names))

"""How tables of measurements spell the dtypes of operators."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fitwright.validate.domains import inputs as read

DTYPES: Mapping[str, str] = {
    **{word: name for name, words in read.LABELS.items() for word in (name, *words)},
    "tf32": "tf32",
    "tfloat32": "tf32",
    "bfloat": "bfloat16",
    "smoothquant": "int8",
}
"""A word of a label, and the catalogue's name."""
WEIGHT_ONLY: Mapping[str, str] = {
    "w8a16": "int8",
    "w4a16": "int4",
    "awq": "int4",
    "gptq": "int4",
}
"""Words for products whose weights alone are narrow; the arithmetic is 16 bits wide."""
_ALONE = re.compile(r"\bwo\b|\bweights? ?only\b|\bg\d{2,3}\b")
_NARROW = ("int4", "int8", "float8")


def arithmetic(spelled: str) -> str | None:
    """Of ``bf16``, ``torch.float16``, ``FP8 E4M3`` or ``float8_e4m3fn``; None: not known."""
    said = _plain(spelled)
    words = [DTYPES[w] for w in said.split() if w in DTYPES]
    if not words and (joined := said.replace(" ", "")) in DTYPES:
        return DTYPES[joined]
    return words[0] if words else None


def narrow_weights(spelled: str) -> str | None:
    """Of ``int4_wo``, ``int8 weight-only``, ``int4 g128`` or ``W4A16 AWQ``; None: not these."""
    said = _plain(spelled)
    if found := next((WEIGHT_ONLY[w] for w in said.split() if w in WEIGHT_ONLY), None):
        return found
    name = arithmetic(spelled) if _ALONE.search(said) else None
    return name if name in _NARROW else None


def is_block_scaled(spelled: str) -> bool:
    """Of ``fp8_block`` and ``float8 blockwise``."""
    return "block" in spelled.lower() and arithmetic(spelled) == "float8"


def _plain(spelled: str) -> str:
    """Lower-case words: without punctuation, asides, and ``fn`` after the form of a float8."""
    said = re.sub(r"\(.*?\)|torch\.|(?<=e4m3)fnu?z?|(?<=e5m2)fnu?z?", " ", spelled.lower())
    return " ".join(re.findall(r"[a-z0-9]+", said))


def spellings() -> str:
    """What is understood, for a reason."""
    return ", ".join(sorted({*DTYPES, *WEIGHT_ONLY, "int8_wo", "int4_wo", "fp8_wo", "fp8_block"}))

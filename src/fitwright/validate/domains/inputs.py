"""What the inputs of a case say, read tolerantly: numbers as texts, units in words."""

from __future__ import annotations

import re

from fitwright.validate.case import Inputs

LABELS = {
    "fp32": "float32",
    "f32": "float32",
    "float32": "float32",
    "fp16": "float16",
    "float16": "float16",
    "bf16": "bfloat16",
    "bfloat16": "bfloat16",
    "int8": "int8",
    "uint8": "int8",
    "w8a8": "int8",
    "fp8": "float8",
    "float8": "float8",
    "fp4": "float4",
    "int4": "int4",
}


def text(inputs: Inputs, *names: str) -> str:
    """The first of these inputs that is given, as text; empty when none is."""
    for name in names:
        value = inputs.get(name)
        if value is not None and value != "":
            return str(value).strip()
    return ""


def number(inputs: Inputs, *names: str) -> float | None:
    """The first of these inputs that holds a number (``"12 bit"`` is 12)."""
    for name in names:
        found = re.search(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?", str(inputs.get(name) or "").lower())
        if found:
            return float(found[0])
    return None


def dtype(inputs: Inputs, *names: str) -> str:
    """A label such as ``fp16`` or ``fp16 (float model)`` as a numpy name; empty: unknown."""
    words = re.findall(r"[a-z0-9]+", text(inputs, *names).lower())
    return next((LABELS[w] for w in words if w in LABELS), "")

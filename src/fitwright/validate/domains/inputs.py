"""What the inputs of a case say, read tolerantly: numbers as texts, units in words."""

from __future__ import annotations

import re

from fitwright.validate.case import Inputs

LABELS = {
    "float64": ("fp64", "f64", "double"),
    "float32": ("fp32", "f32", "single", "float"),
    "float16": ("fp16", "f16", "half"),
    "bfloat16": ("bf16",),
    "int8": ("i8", "uint8", "u8", "w8a8", "sq"),
    "float8": ("fp8", "e4m3", "e5m2"),
    "float4": ("fp4", "nvfp4", "mxfp4"),
    "int4": ("i4", "uint4", "u4", "w4a16"),
}
"""Numpy's names, and what else tables write for them."""
_NAMES = {word: name for name, words in LABELS.items() for word in (name, *words)}


def text(inputs: Inputs, *names: str) -> str:
    """The first of these inputs that is given, as text; empty when none is."""
    for name in names:
        value = _given(inputs, name)
        if value is not None and value != "":
            return str(value).strip()
    return ""


def _given(inputs: Inputs, name: str) -> object:
    """By its name, however it is written (``reuse_factor``, ``ReuseFactor``); None: not there,
    or null."""
    if name in inputs:
        return inputs[name]
    plain = letters(name)
    return next((value for key, value in inputs.items() if letters(key) == plain), None)


def letters(key: str) -> str:
    """The name of an input without the case of its letters and what separates its words."""
    return re.sub(r"[^a-z0-9]", "", key.lower())


MODEL = ("model", "network", "benchmark", "workload", "task", "architecture", "arch", "name")
FRAMEWORK = ("framework", "runtime", "software", "backend", "library", "engine")
DTYPE = ("dtype", "precision", "weight_dtype", "data_type", "quant", "quantization")
SIDE = ("img_size", "image_size", "input_size", "resolution", "input", "img_res", "res", "side")
BATCH = ("batch", "batch_size", "bs")
DEVICES = ("n_devices", "num_devices", "devices", "accelerators", "n_gpus", "num_gpus", "gpus")
"""What tables call an input, the usual name first."""


def number(inputs: Inputs, *names: str) -> float | None:
    """The first of these inputs that holds a number (``"12 bit"`` is 12)."""
    for name in names:
        found = re.search(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?", str(_given(inputs, name) or "").lower())
        if found:
            return float(found[0])
    return None


def side(inputs: Inputs) -> float | None:
    """Pixels of the longer side of an image: of ``224``, ``256x256`` and ``3x224x224``."""
    for name in SIDE:
        found = re.findall(r"\d+(?:\.\d+)?", str(_given(inputs, name) or ""))
        if found:
            return max(map(float, found)) or None
    return None


def dtype(inputs: Inputs, *names: str) -> str:
    """A label such as ``fp16`` or ``fp16 (float model)`` as a numpy name; empty: unknown."""
    words = re.findall(r"[a-z0-9]+", text(inputs, *names).lower())
    return next((_NAMES[w] for w in words if w in _NAMES), "")

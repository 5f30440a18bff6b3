"""Totals of well-known networks: `models/networks.yaml`, found by whatever name people write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

from fitwright.records.workload import Workload

NETWORKS = Path(__file__).parent / "models" / "networks.yaml"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ENDINGS = re.compile(
    r"(tf|onnx|pytorch|torch|caffe|tflite|int8|fp16|fp32|bf16|uint8|nonquantized|quantized|"
    r"pretrained|imagenet|in1k|in22k|coco|voc|offline|tv|hf|base\d*x?\d*)$"
)


@cache
def load_networks() -> tuple[Workload, ...]:
    """All rows, in the order of the file."""
    rows = yaml.load(NETWORKS.read_text(), Loader=_Loader)
    return tuple(Workload.model_validate(row) for row in rows)


def find_network(name: str) -> Workload | None:
    """The network of that name; None: the catalogue does not have it.

    Case, punctuation, a vendor before ``/``, a training recipe after ``.`` and endings such as
    ``-onnx`` or ``_int8`` do not matter. A size at the end that is not part of a known name
    (``ResNet-50 v2 299``) is the side of the image, and the totals are those at that size.
    """
    known = _by_key()
    for key in _readings(name):
        if key in known:
            return known[key]
    return _sized(name)


def _sized(name: str) -> Workload | None:
    """A known name followed by the side of the image."""
    match = re.search(r"^(.*)[ _-]+(\d{2,4})(?:x(\d{2,4}))?(?:[-_ ].*)?$", name.lower())
    if match is None:
        return None
    base = next((_by_key()[k] for k in _readings(match[1]) if k in _by_key()), None)
    if base is None or not base.side:
        return base
    height, width = float(match[2]), float(match[3] or match[2])
    return base.at_side((height * width) ** 0.5)


def _readings(name: str) -> tuple[str, ...]:
    """Spellings to look up, the most literal first."""
    lower = name.lower().strip()
    bare = lower.rsplit("/", 1)[-1]
    parts = [lower, bare, bare.split(".", 1)[0]]
    keys = [_key(p) for p in parts]
    short = keys[-1]
    while (cut := _ENDINGS.sub("", short)) != short and cut:
        keys.append(cut)
        short = cut
    return tuple(dict.fromkeys(k for k in keys if k))


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@cache
def _by_key() -> Mapping[str, Workload]:
    """Names and aliases without punctuation; a name wins over another row's alias."""
    rows = load_networks()
    aliases = {_key(a): w for w in reversed(rows) for a in w.aliases}
    return aliases | {_key(w.name): w for w in reversed(rows)}

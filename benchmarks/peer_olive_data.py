"""What Olive asks its users for: a data set, and the agreement with the original as a metric.

Imported by Olive, in its own environment; see `peer_olive.py`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from olive.data.registry import Registry
from torch import Tensor, from_numpy
from torch.utils.data import Dataset

Query = dict[str, np.ndarray]


def queries(calibration: str, *, batch: int) -> list[Query]:
    """The samples as the model takes them, `batch` at a time."""
    with np.load(calibration) as arrays:
        columns = {name: arrays[name] for name in arrays.files}
    num = len(next(iter(columns.values())))
    return [
        {name: column[i : i + batch] for name, column in columns.items()}
        for i in range(0, num, batch)
    ]


class Queries(Dataset):  # type: ignore[type-arg, misc, unused-ignore]
    """Whole queries with an empty label, which Olive expects and calibration ignores."""

    def __init__(self, found: list[Query]) -> None:
        self._found = found

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, index: int) -> tuple[dict[str, Tensor], int]:
        found = {name: from_numpy(array) for name, array in self._found[index].items()}
        return found, 0


@Registry.register_dataset()  # type: ignore[misc, unused-ignore]
def benchmark_samples(calibration: str, batch: int, **_: Any) -> Queries:
    """Every sample that the tools get."""
    return Queries(queries(calibration, batch=batch))


def answers(session: Any, found: list[Query]) -> list[np.ndarray]:
    """All outputs of all queries, flat."""
    return [np.concatenate([y.ravel() for y in session.run(None, query)]) for query in found]


def relative_l2(
    model: Any,
    device: Any,
    execution_providers: Any,
    *,
    original: str,
    calibration: str,
    batch: int,
) -> float:
    """Distance of the outputs to the original's, over the samples."""
    import onnxruntime

    del device, execution_providers
    found = queries(calibration, batch=batch)
    providers = ["CPUExecutionProvider"]
    reference = answers(onnxruntime.InferenceSession(original, providers=providers), found)
    changed = answers(
        onnxruntime.InferenceSession(str(Path(model.model_path)), providers=providers), found
    )
    pairs = list(zip(changed, reference, strict=True))
    difference = sum(float(np.square(np.float64(y) - r).sum()) for y, r in pairs)
    return math.sqrt(difference / sum(float(np.square(np.float64(r)).sum()) for r in reference))

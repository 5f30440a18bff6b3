"""What Olive asks its users for, a data set; and the agreement of what it made with the original.

Imported by Olive, in its own environment; see `peer_olive.py`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from olive.data.registry import Registry
from torch import Tensor, from_numpy
from torch.utils.data import Dataset

Array = NDArray[Any]
Query = dict[str, Array]


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


class Distances:
    """Relative L2 distance of a model's outputs to the original's, over the samples."""

    def __init__(self, original: Path, calibration: Path, *, batch: int) -> None:
        self._queries = queries(str(calibration), batch=batch)
        self._reference = self._answers(original)
        self._known: dict[Path, float] = {}

    def relative_l2(self, model: Path) -> float:
        """Of one model; each file is run once."""
        if model not in self._known:
            pairs = list(zip(self._answers(model), self._reference, strict=True))
            difference = sum(float(np.square(np.float64(y) - r).sum()) for y, r in pairs)
            size = sum(float(np.square(np.float64(r)).sum()) for r in self._reference)
            self._known[model] = math.sqrt(difference / size)
        return self._known[model]

    def _answers(self, model: Path) -> list[Array]:
        """All outputs of all queries, flat."""
        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        return [
            np.concatenate([y.ravel() for y in session.run(None, query)]) for query in self._queries
        ]

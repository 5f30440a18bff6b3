"""Tensors and queries. numpy is named for the type checker and never imported at run time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
    Tensors: TypeAlias = Mapping[str, Array]
else:
    Array = Any
    Tensors = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Queries ready for a model, and labels if known.

    Attributes:
        inputs: per model input, shape (queries, *input shape at the bound sizes).
        labels: shape (queries * batch, ...), or None.
        origin: ``contract`` (real) or ``synthetic``.
    """

    inputs: Tensors
    labels: Array | None
    origin: Literal["contract", "synthetic"]

    @property
    def num_queries(self) -> int:
        """Length of the first axis of every input."""
        return len(next(iter(self.inputs.values())))

    def picked(self, queries: Array) -> Samples:
        """Some of the queries, by index, with their labels."""
        labels = self.labels
        if labels is not None:
            by_query = labels.reshape(self.num_queries, -1, *labels.shape[1:])
            labels = by_query[queries].reshape(-1, *labels.shape[1:])
        inputs = {name: values[queries] for name, values in self.inputs.items()}
        return Samples(inputs=inputs, labels=labels, origin=self.origin)

"""What a counting rule sees and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fitwright.graph.dtypes import num_elements
from fitwright.graph.known import Known
from fitwright.records.model import Product


class Missing(Exception):
    """Raised inside a rule only: what it needs is unknown. Becomes an `Uncounted` row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """The answer of a rule.

    Attributes:
        flops: of matmul-like work, 1 MAC = 2 FLOP.
        elementwise_flops: of all other arithmetic.
        bytes_read, bytes_written: where they differ from each input and output once.
        view: the first output is the first input under another shape; nothing moves.
        product: what matmul-like work amounts to.
        dtype: of the arithmetic, where it is not that of the first input.
    """

    flops: int = 0
    elementwise_flops: int = 0
    bytes_read: int | None = None
    bytes_written: int | None = None
    view: bool = False
    product: Product | None = None
    dtype: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """One node with everything known about its values; absent optional values are None."""

    kind: str
    domain: str
    opset: int
    inputs: tuple[Known | None, ...]
    outputs: tuple[Known | None, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def has(self, index: int) -> bool:
        """Whether the optional input is given."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def input(self, index: int) -> Known:
        """A given input; Missing when absent."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if value is None:
            raise Missing(f"input {index} is absent")
        return value

    def dims(self, index: int) -> tuple[int, ...]:
        """Shape of an input."""
        shape = self.input(index).shape
        if shape is None:
            raise Missing(f"shape of input {index} is unknown")
        return shape

    def out_dims(self, index: int = 0) -> tuple[int, ...]:
        """Shape of an output."""
        value = self.outputs[index] if index < len(self.outputs) else None
        if value is None or value.shape is None:
            raise Missing("shape of the output is unknown: it depends on the data")
        return value.shape

    def size(self, index: int) -> int:
        """Elements of an input."""
        return num_elements(self.dims(index))

    def out_size(self, index: int = 0) -> int:
        """Elements of an output."""
        return num_elements(self.out_dims(index))

    def out_bytes(self) -> int:
        """Bytes of all outputs."""
        return sum(o.bytes for o in self.outputs if o is not None)

    def number(self, name: str, default: int | None = None) -> int:
        """A whole-number attribute; Missing when absent without a default."""
        value = self.attributes.get(name, default)
        if not isinstance(value, int):
            raise Missing(f"attribute '{name}' is absent")
        return value

    def numbers(self, name: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """An attribute that lists whole numbers."""
        value = self.attributes.get(name, default)
        if value is None:
            raise Missing(f"attribute '{name}' is absent")
        return tuple(value)

    def text(self, name: str, default: str = "") -> str:
        """A text attribute."""
        value = self.attributes.get(name, default)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def data(self, index: int) -> list[int]:
        """The elements of a small constant input, as whole numbers."""
        data = self.input(index).data
        if data is None:
            raise Missing(f"the values of input {index} are not constant")
        return [int(v) for v in data.reshape(-1)]


MALFORMED = (
    ValueError,
    IndexError,
    TypeError,
    KeyError,
    AttributeError,
    ZeroDivisionError,
    OverflowError,
)
"""What a rule may meet in a node whose inputs or attributes break its schema."""
Rule = Callable[[Operator], Cost]
Key = tuple[str, str]
"""Domain and operator type."""

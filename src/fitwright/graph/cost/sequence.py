"""Sequences, optionals and strings: references are passed on; texts are not arithmetic."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.graph.cost.movement import move
from fitwright.graph.cost.operator import Cost, Key, Operator, Rule


def reference(_: Operator) -> Cost:
    """Hands a reference on: nothing is read or written."""
    return Cost(bytes_read=0, bytes_written=0)


_REFERENCES = (
    "SequenceConstruct SequenceEmpty SequenceInsert SequenceErase SequenceAt SequenceLength "
    "Optional OptionalGetElement OptionalHasElement"
)
_COPIES = "SplitToSequence ConcatFromSequence StringConcat StringSplit StringNormalizer"

RULES: Mapping[Key, Rule] = {
    **{("", kind): reference for kind in _REFERENCES.split()},
    **{("", kind): move for kind in _COPIES.split()},
    ("", "RegexFullMatch"): move,
}

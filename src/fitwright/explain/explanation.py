"""What ``fitwright explain CODE`` tells about one error code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """One error code in plain words.

    Attributes:
        title: the rule that was broken, as a short sentence.
        why: why the rule exists, or how one gets here.
        fix: what to do.
        example: lines to copy; may be empty.
    """

    title: str
    why: str
    fix: str
    example: str = ""

"""Every error code that can be raised has a page, and every page a code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from fitwright.explain import EXPLANATIONS

PACKAGE = Path(__file__).parents[2] / "src" / "fitwright"
CODE = re.compile(r"\AFW\d{3}\Z|(?<=\[)FW\d{3}(?=\])")


def raised_codes() -> set[str]:
    """Codes in the sources: string literals that are one, or print one in brackets."""
    return {
        code
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] != "explain"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for code in CODE.findall(node.value)
    }


def test_every_code_is_explained() -> None:
    assert sorted(raised_codes() - EXPLANATIONS.keys()) == []


def test_no_explanation_is_an_orphan() -> None:
    assert sorted(EXPLANATIONS.keys() - raised_codes()) == []


@pytest.mark.parametrize("code", EXPLANATIONS)
def test_an_explanation_says_what_why_and_what_to_do(code: str) -> None:
    explanation = EXPLANATIONS[code]
    for text in (explanation.title, explanation.why, explanation.fix):
        assert text.endswith((".", "?")), f"{code}: {text!r}"
        assert len(text) > 15

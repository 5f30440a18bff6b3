"""Rewrites small models and runs them before and after."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from rewriting_proof import Rewritten, proven


@pytest.fixture
def rewritten(tmp_path: Path) -> Rewritten:
    """Rewrite a model given as text; the outcome says how far its outputs moved."""
    return partial(proven, tmp_path)

"""A toolkit's temporary files lie where a killed pass is cleared."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from fitwright.backends.workplace import workplace


def test_temporary_files_of_others_lie_beneath_the_pass_and_go_with_it(tmp_path: Path) -> None:
    usual = tempfile.gettempdir()
    with workplace(tmp_path) as place:
        assert Path(tempfile.mkdtemp()).parent == place
        assert place.parent == tmp_path
    assert list(tmp_path.iterdir()) == []
    assert tempfile.gettempdir() == usual


def test_the_usual_place_comes_back_after_a_failure(tmp_path: Path) -> None:
    usual = tempfile.gettempdir()
    with pytest.raises(ValueError, match="broken"), workplace(tmp_path):
        raise ValueError("broken")
    assert tempfile.gettempdir() == usual

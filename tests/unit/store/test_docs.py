"""The guide's example of a shared store runs as it is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "steps" / "tune.md"


def test_the_example_of_a_shared_store_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    (block,) = (b for b in blocks if "url_store" in b)
    exec(block, {})
    assert capsys.readouterr().out == "0 trials, 0 candidates in hands\n"
    assert list(tmp_path.iterdir()) == []

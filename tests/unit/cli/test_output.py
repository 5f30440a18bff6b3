"""The one JSON document of a command."""

from __future__ import annotations

import json
import math

import pytest

from fitwright.cli.output import answer
from fitwright.records.figure import Figure


def refuse(word: str) -> float:
    raise AssertionError(f"{word} is not JSON")


def test_an_open_interval_is_valid_json(capsys: pytest.CaptureFixture[str]) -> None:
    open_ended = Figure.measured(1.0, low=0.5, high=math.inf)
    answer({"figures": [open_ended.model_dump(mode="json")], "pair": (-math.inf, 1)})
    document = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert document["pair"] == ["-Infinity", 1]
    assert Figure.model_validate(document["figures"][0]) == open_ended

"""The time left is shown in words that claim no more than is known."""

from __future__ import annotations

import pytest

from fitwright.cli.console import LiveLine, PlainLines, time_left
from fitwright.start import Silent


@pytest.mark.parametrize(
    ("left_s", "eta_s", "words"),
    [
        (75.0, None, "75 s left"),
        (300.0, 40.4, "about 40 s to go (at most 5 min)"),
        (50.0, 50.0, "about 50 s to go"),
        (-4.0, 3.0, "about 0 s to go"),
        (90_000.0, -1.0, "about 0 s to go (at most 25.0 h)"),
    ],
)
def test_the_estimate_stands_beside_the_budget(
    left_s: float, eta_s: float | None, words: str
) -> None:
    assert time_left(left_s, eta_s) == words


def test_plain_lines_tell_the_time_left_every_half_minute_and_only_when_it_is_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now_s = 0.0
    console = PlainLines(clock=lambda: now_s)
    console.budget(0.0, 300.0, 60.0)
    assert capsys.readouterr().err == ""  # the run has only just begun
    now_s = 31.0
    console.budget(31.0, 300.0)
    assert capsys.readouterr().err == ""
    console.budget(31.0, 300.0, 60.0)
    console.budget(31.0, 300.0, 60.0)
    assert capsys.readouterr().err == "[  31.0 s] about 60 s to go (at most 4 min)\n"


def test_the_live_line_counts_down() -> None:
    console = LiveLine()
    console.step("5 bench")
    console.budget(0.0, 3600.0)
    assert console.__rich__().plain == "5 bench · 60 min left"
    console.budget(0.0, 3600.0, 600.0)
    assert console.__rich__().plain == "5 bench · about 10 min to go (at most 60 min)"


def test_a_quiet_run_takes_the_estimate_and_says_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Silent().budget(1.0, 2.0, 0.5)
    assert capsys.readouterr() == ("", "")

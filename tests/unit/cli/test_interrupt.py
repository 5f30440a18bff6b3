"""An interrupt is never lost."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

STRUCK_IN_A_FINALISER = """
import signal, sys, time
from fitwright.cli.interrupt import end_when_interrupted

class Resource:
    def __del__(self):
        signal.raise_signal(signal.{name})

end_when_interrupted()
try:
    resource = Resource()
    del resource
    time.sleep(3600)
except KeyboardInterrupt:
    sys.exit(130)
sys.exit(0)
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_strikes_in_a_finaliser_ends_the_command(sent: signal.Signals) -> None:
    code = STRUCK_IN_A_FINALISER.format(name=sent.name)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (130, "")


def test_a_script_ignores_one_signal_and_the_other_still_ends_the_command() -> None:
    # what a shell starts in the background has SIGINT ignored
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    code += STRUCK_IN_A_FINALISER.format(name="SIGTERM")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (130, "")


def test_what_else_is_dropped_is_shown_as_ever() -> None:
    code = (
        "from fitwright.cli.interrupt import end_when_interrupted\n"
        "class Broken:\n    def __del__(self): raise ValueError('lost')\n"
        "end_when_interrupted(); Broken()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ValueError: lost" in done.stderr

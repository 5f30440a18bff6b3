"""For every test: examples of Hypothesis are the same in every run and have no time limit.

``HYPOTHESIS=explore make test`` draws new ones. Interrupts reach what tests start, even where a
shell has the whole suite in its background. And a PostgreSQL server, for those that ask.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from postgres_server import postgres_programs, running_postgres

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # children inherit that, and no handler
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("fitwright", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS", "fitwright"))


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """URL of a server of its own; ask only where `postgres_programs` finds one."""
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("psycopg")
    programs = postgres_programs()
    assert programs is not None
    with running_postgres(programs) as url:
        yield url

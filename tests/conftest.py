"""For every test: examples of Hypothesis have no time limit, since the machine may be busy."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("fitwright", deadline=None)
settings.load_profile("fitwright")

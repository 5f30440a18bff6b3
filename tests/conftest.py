"""For every test: examples of Hypothesis are the same in every run and have no time limit.

``HYPOTHESIS=explore make test`` draws new ones.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("fitwright", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS", "fitwright"))

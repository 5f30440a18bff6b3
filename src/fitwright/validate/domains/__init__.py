"""Who predicts which domain of cases: one visible table."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.validate.case import Predictor

PREDICTORS: Mapping[str, Predictor] = {}

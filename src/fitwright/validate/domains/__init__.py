"""Who predicts which domain of cases: one visible table."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.validate.case import Predictor
from fitwright.validate.domains.operators import (
    predict_decode,
    predict_gemm,
    predict_prefill,
)

PREDICTORS: Mapping[str, Predictor] = {
    "op/gemm": predict_gemm,
    "op/gemv": predict_gemm,
    "op/attention-prefill": predict_prefill,
    "op/attention-decode": predict_decode,
}

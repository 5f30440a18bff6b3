"""Who predicts which domain of cases: one visible table."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.validate.case import Predictor
from fitwright.validate.domains import llm, llm_energy, llm_serving
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
    "e2e/llm-decode": llm.predict_decode,
    "e2e/llm-decode-local": llm.predict_local_decode,
    "e2e/llm-prefill-local": llm.predict_local_prefill,
    "e2e/llm-serving-offline": llm.predict_serving_offline,
    "e2e/llm-offline": llm_serving.predict_mlperf_offline,
    "e2e/llm-tpot": llm_serving.predict_tpot,
    "e2e/llm-ttft": llm_serving.predict_ttft,
    "energy/llm": llm_energy.predict_energy,
}

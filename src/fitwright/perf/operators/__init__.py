"""The operator level of the performance model: how long one operator takes on one device."""

from fitwright.perf.operators.shapes import (
    decode_work,
    gemm_work,
    latent_decode_work,
    latent_prefill_work,
    prefill_work,
)
from fitwright.perf.operators.table import WorkTable, tabulate
from fitwright.perf.operators.time import (
    OperatorTime,
    OperatorTimes,
    operator_time,
    operator_times,
)

__all__ = [
    "OperatorTime",
    "OperatorTimes",
    "WorkTable",
    "decode_work",
    "gemm_work",
    "latent_decode_work",
    "latent_prefill_work",
    "operator_time",
    "operator_times",
    "prefill_work",
    "tabulate",
]

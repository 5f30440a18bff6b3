"""The errors that the performance model must not exceed on the published figures."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.records.validation import Summed, Validation

MOST_MEDIAN_ERROR: Mapping[str, float] = {
    "op/gemm": 0.10,
    "op/gemv": 0.10,
    "op/attention-prefill": 0.10,
    "op/attention-decode": 0.10,
    "e2e/llm-decode": 0.10,
    "e2e/llm-serving-offline": 0.10,
    "e2e/llm-offline": 0.25,
    "energy/llm": 0.15,
    "op/collective": 0.10,
    "training/megatron": 0.04,
    "training/fsdp": 0.06,
    "training/torchao": 0.10,
    "training/4gpu": 0.15,
    "memory/training": 0.05,
    "e2e/vision-gpu": 0.10,
    "e2e/vision-cpu": 0.10,
    "e2e/vision-train": 0.15,
    "e2e/openvino": 0.20,
    "e2e/transformer-fp32": 0.10,
    "training/single-gpu-fp32": 0.20,
    "e2e/mlperf": 0.10,
    "energy/mlperf": 0.15,
    "e2e/mcu-fpga": 0.10,
    "e2e/npu": 0.15,
    "fpga/latency": 0.05,
    "fpga/area": 0.10,
}
"""By domain, the largest median absolute error allowed on the tables that come with Fitwright."""
LEAST_PREDICTED = 0.9
"""Share of the rows of a domain that must have a prediction."""


def broken(validation: Validation) -> tuple[str, ...]:
    """The targets that these figures break, a sentence each; domains without one are let be."""
    defects = (
        f"{domain}: {found.num_internal_errors} rows met an internal error, a defect of Fitwright"
        for domain, found in validation.by_domain.items()
        if found.num_internal_errors
    )
    missed = (
        sentence
        for domain, most in MOST_MEDIAN_ERROR.items()
        if (found := validation.by_domain.get(domain)) is not None
        for sentence in _broken(domain, found, most)
    )
    return (*defects, *missed)


def _broken(domain: str, found: Summed, most: float) -> tuple[str, ...]:
    sentences = []
    if found.num_predicted < LEAST_PREDICTED * found.num_rows:
        sentences.append(
            f"{domain}: {found.num_predicted} of {found.num_rows} rows have a prediction, "
            f"at least {LEAST_PREDICTED:.0%} must"
        )
    if found.median_absolute_error is not None and found.median_absolute_error > most:
        sentences.append(
            f"{domain}: the median error is {found.median_absolute_error:.1%}, "
            f"at most {most:.0%} is allowed"
        )
    return tuple(sentences)

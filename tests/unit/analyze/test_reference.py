"""The original answers as many queries as the time allows, and labels stay with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fitwright.analyze.reference import FEWEST, reference_outputs
from fitwright.backends import RUNTIMES
from fitwright.ports import ChildLimits, Samples

NUM, BATCH = 1000, 2


def answered(in_process, *, query_s: float) -> tuple[Samples, dict[str, np.ndarray]]:
    executor = in_process(lambda inputs: {"y": inputs["x"] * 2})
    executor.query_s = query_s
    x = np.arange(NUM * BATCH, dtype=np.float32).reshape(NUM, BATCH)
    samples = Samples(inputs={"x": x}, labels=x.reshape(-1) * 2, origin="contract")
    return reference_outputs(
        Path("m.onnx"),
        samples,
        executor=executor,
        runtime=RUNTIMES["onnxruntime"],
        limits=ChildLimits(),
        budget_s=10.0,
    )


def test_a_fast_model_answers_every_query(in_process) -> None:
    samples, reference = answered(in_process, query_s=0.001)
    assert samples.num_queries == len(reference["y"]) == NUM


def test_a_slow_model_answers_what_fits_spread_over_all_with_its_labels(in_process) -> None:
    samples, reference = answered(in_process, query_s=0.1)
    assert samples.num_queries == 100
    assert samples.inputs["x"][-1, -1] == NUM * BATCH - 1
    np.testing.assert_array_equal(reference["y"].reshape(-1), samples.labels)


def test_even_a_very_slow_model_answers_a_few(in_process) -> None:
    samples, _ = answered(in_process, query_s=60.0)
    assert samples.num_queries == FEWEST

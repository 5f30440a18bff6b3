"""Language models in MLPerf: scenarios, releases, splits, and what a submission runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import find_sheet
from fitwright.records.estimate import Estimate, NoData
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains import llm_mlperf
from fitwright.validate.domains.llm_mlperf import (
    predict_mlperf_offline,
    really_run,
    release_of,
    scenario_of,
    task_named,
)
from fitwright.validate.domains.mlperf import predict_mlperf

TABLE = (*evidence("llm"), *evidence("collectives"))
LLAMA = Case(case="a", domain="e2e/llm-offline", device_id="h100-sxm", metric="best_value",
             measured=None, unit="samples/s/device",
             inputs={"version": "v4.1", "benchmark": "llama2-70b-99", "scenario": "Offline",
                     "weight_dtype": "fp16", "n_devices": 8})  # fmt: skip


def asked(**inputs: object) -> Case:
    return replace(LLAMA, inputs={**LLAMA.inputs, **inputs})


def answer(case: Case) -> Estimate | NoData:
    return predict_mlperf_offline(case, Knowledge(sheet=find_sheet(case.device_id), evidence=TABLE))


def value(case: Case) -> float:
    found = answer(case)
    assert isinstance(found, Estimate), found
    return found.value


@pytest.mark.parametrize("benchmark", ["llama2-70b-99", "llama3.1-8b", "llama3.1-405b"])
def test_the_tighter_the_limit_on_a_token_the_fewer_are_served(benchmark: str) -> None:
    rates = [
        value(asked(benchmark=benchmark, scenario=s)) for s in ("Interactive", "Server", "Offline")
    ]
    assert rates == sorted(rates)
    assert rates[0] < rates[2]


def test_an_interactive_benchmark_is_known_by_its_name() -> None:
    assert scenario_of(asked(benchmark="llama2-70b-interactive-99", scenario="Server")) == (
        "interactive"
    )
    assert scenario_of(LLAMA) == "offline"


def test_a_single_stream_is_answered_in_seconds_and_a_token_at_a_time() -> None:
    alone = answer(replace(asked(benchmark="gptj-99", scenario="SingleStream"), unit="ms_p90"))
    assert isinstance(alone, Estimate)
    assert alone.unit == "s"
    # 69 tokens of four beams at 3.35 TB/s and 6 GB: at least 0.12 s, and no more than a second
    assert 0.12 < alone.value < 1.0


def test_samples_and_tokens_are_the_same_run() -> None:
    task = task_named("llama2-70b-99")
    assert task is not None
    tokens = value(replace(LLAMA, unit="tok/s/device", metric="best_tokens_per_s_per_device"))
    assert tokens == pytest.approx(value(LLAMA) * task[1].output_tokens)


def test_software_gets_no_slower_from_release_to_release() -> None:
    rates = [value(asked(version=v)) for v in ("v3.1", "v4.0", "v4.1", "v5.0", "v5.1", "v9.0")]
    assert rates == sorted(rates)
    assert rates[-1] == rates[-2]
    assert release_of(asked(version="")) == release_of(asked(version="v5.1"))


def test_more_devices_than_a_copy_needs_do_not_change_the_rate_of_each() -> None:
    assert value(asked(n_devices=8)) <= value(asked(n_devices=16)) * (1 + 1e-9)
    assert value(asked(n_devices=16)) == pytest.approx(value(asked(n_devices=64)))


def test_a_model_too_large_for_the_devices_is_refused_with_the_gap() -> None:
    found = answer(asked(benchmark="llama3.1-405b", n_devices=2))
    assert isinstance(found, NoData)
    assert "short by" in found.reason


def test_without_a_label_the_narrowest_precision_of_the_device_is_taken() -> None:
    assert really_run(find_sheet("mi300x"), "") == "fp8"
    assert really_run(find_sheet("mi300x"), "fp16") == "fp16"
    assert really_run(find_sheet("b200"), "") == "fp4"
    assert really_run(find_sheet("jetson-agx-orin-64"), "fp16") == "int4 g128"


@pytest.mark.parametrize(
    ("name", "task"),
    [("llama2-70b-99.9", "llama2-70b"), ("llama-2-70b", "llama2-70b"),
     ("llama3_1-405b", "llama3.1-405b"), ("llama3.1-8b-edge", "llama3.1-8b"),
     ("GPT-J", "gptj"), ("gpt-j-99", "gptj"), ("mixtral-8x7B", "mixtral-8x7b"),
     ("deepseek_r1", "deepseek-r1")],
)  # fmt: skip
def test_benchmarks_are_known_by_the_names_that_tables_use(name: str, task: str) -> None:
    found = task_named(name)
    assert found is not None
    assert found[0] == task


def test_the_table_of_submissions_asks_the_same_model() -> None:
    known = Knowledge(sheet=find_sheet("h100-sxm"), evidence=TABLE)
    found = predict_mlperf(replace(LLAMA, domain="e2e/mlperf"), known)
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(value(LLAMA))


def test_a_copy_is_cut_into_stages_only_where_what_these_lose_still_leaves_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates = {}
    for reached, split in ((1.0, "pipeline of 2"), (0.5, "pipeline of 1")):
        monkeypatch.setattr(llm_mlperf, "PIPELINE", reached)
        found = answer(LLAMA)
        assert isinstance(found, Estimate)
        assert split in found.reasons[0]
        rates[reached] = found.value
    assert rates[0.5] < rates[1.0] < 2 * rates[0.5]

"""What the domains of language models answer, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import find_sheet
from fitwright.perf.llm import ENGINES, Summary, read_format, summary
from fitwright.perf.llm.machine import reach
from fitwright.records.estimate import Estimate, NoData
from fitwright.validate.case import Case, Inputs, Knowledge
from fitwright.validate.domains import PREDICTORS
from fitwright.validate.domains.llm_mlperf import really_run

TABLE = (*evidence("llm"), *evidence("collectives"), *evidence("energy"))


def asked(domain: str, device: str, unit: str, inputs: Inputs, metric: str = "value") -> Case:
    return Case(case="a", domain=domain, device_id=device, inputs=inputs, metric=metric,
                measured=None, unit=unit)  # fmt: skip


def answer(case: Case) -> Estimate | NoData:
    known = Knowledge(sheet=find_sheet(case.device_id), evidence=TABLE)
    return PREDICTORS[case.domain](case, known)


def value(case: Case) -> float:
    found = answer(case)
    assert isinstance(found, Estimate), found
    assert found.low < found.value < found.high
    return found.value


DECODE = asked("e2e/llm-decode", "a100-80-sxm", "tok/s",
               {"model": "Llama-2-7B", "dtype": "bf16", "tensor_par": 1, "batch": 1})  # fmt: skip
LOCAL = asked("e2e/llm-decode-local", "rtx-4090", "tok/s",
              {"model": "Llama-3-8B", "quant": "q8_0", "test": "tg", "length": 128})  # fmt: skip
PROMPT = replace(LOCAL, domain="e2e/llm-prefill-local")
QUEUE = asked("e2e/llm-serving-offline", "h100-sxm", "tok/s",
              {"model": "Llama-3.1-8B", "dtype": "fp8", "tensor_par": 1.0,
               "input_len": "1000", "output_len": "1000"})  # fmt: skip
TPOT = asked("e2e/llm-tpot", "h100-sxm", "ms",
             {"model_path": "Qwen/Qwen3-32B", "backend": "sglang", "precision": None, "isl": 1024,
              "osl": 256, "concurrency": 32.0, "tp_size": 4.0})  # fmt: skip
OFFLINE = asked("e2e/llm-offline", "h200-sxm", "tok/s/device",
                {"benchmark": "llama2-70b-99", "scenario": "Offline", "weight_dtype": "fp8",
                 "n_devices": 8})  # fmt: skip
ENERGY = asked("energy/llm", "h100-sxm", "J/request (GPU)",
               {"model": "google/gemma-2-9b-it", "tp": 1, "max_batch": 64,
                "avg_output_tokens": 300.0})  # fmt: skip
CASES = (DECODE, LOCAL, PROMPT, QUEUE, TPOT, replace(TPOT, domain="e2e/llm-ttft"), OFFLINE, ENERGY)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.domain)
def test_every_domain_answers_in_a_plausible_range(case: Case) -> None:
    # a factor of four around what such devices are known to do: units, not accuracy
    plausible = {
        "e2e/llm-decode": 100, "e2e/llm-decode-local": 95, "e2e/llm-prefill-local": 6000,
        "e2e/llm-serving-offline": 15000, "e2e/llm-tpot": 0.012, "e2e/llm-ttft": 0.3,
        "e2e/llm-offline": 4000, "energy/llm": 70,
    }[case.domain]  # fmt: skip
    assert plausible / 4 < value(case) < plausible * 4


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.domain)
def test_a_device_nobody_measured_still_gets_an_answer_from_its_family(case: Case) -> None:
    other = {"a100-80-sxm": "a30", "rtx-4090": "rtx-5090", "h100-sxm": "b200", "h200-sxm": "b200"}
    moved = replace(case, device_id=other[case.device_id])
    assert value(moved) > 0


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.domain)
def test_a_model_without_shape_or_size_is_no_data(case: Case) -> None:
    unknown = {**case.inputs, "model": "nothing", "model_path": "nothing", "benchmark": "nothing"}
    assert isinstance(answer(replace(case, inputs=unknown)), NoData)


def test_a_model_known_by_size_alone_has_a_wider_band_and_says_so() -> None:
    known = answer(DECODE)
    guessed = answer(replace(DECODE, inputs={**DECODE.inputs, "model": "nobody/new-7b"}))
    assert isinstance(known, Estimate)
    assert isinstance(guessed, Estimate)
    assert guessed.high / guessed.value > known.high / known.value
    assert any("unknown" in r for r in guessed.reasons)


def test_eight_bits_without_a_fast_path_are_refused() -> None:
    found = answer(replace(QUEUE, device_id="a100-80-sxm"))
    assert isinstance(found, NoData)
    assert "float8" in found.reason


def test_a_model_that_does_not_fit_is_refused_with_the_gap() -> None:
    found = answer(replace(LOCAL, inputs={"model": "Llama-2-70B", "quant": "f16"}))
    assert isinstance(found, NoData)
    assert "short by" in found.reason


def test_a_case_in_milliseconds_is_answered_in_seconds() -> None:
    rate = value(DECODE)
    assert value(replace(DECODE, unit="ms")) == pytest.approx(1 / rate)


def test_fewer_bits_generate_faster() -> None:
    rates = [
        value(replace(LOCAL, inputs={**LOCAL.inputs, "quant": q})) for q in ("f16", "q8_0", "q4_0")
    ]
    assert rates == sorted(rates)


def test_waiting_grows_with_the_clients() -> None:
    few, many = (
        value(replace(TPOT, domain="e2e/llm-ttft", inputs={**TPOT.inputs, "concurrency": c}))
        for c in (4, 64)
    )
    assert few < many


def test_submissions_run_narrower_than_their_label_where_the_device_can() -> None:
    assert really_run(find_sheet("h100-sxm"), "fp16") == "fp8"
    assert really_run(find_sheet("b200"), "fp16") == "fp4"
    assert really_run(find_sheet("a100-80-sxm"), "fp16") == "fp16"
    assert really_run(find_sheet("mi300x"), "fp8") == "fp8"


def test_half_a_card_is_what_software_sees_of_two_chips() -> None:
    moved = replace(DECODE, device_id="mi250x")
    # one of two chips: 1.64 TB/s for 13.2 GB
    assert value(moved) < 1.64e12 / 13.2e9


@pytest.mark.parametrize("device", ["h100-sxm", "a100-80-sxm", "mi300x", "rtx-4090"])
def test_no_share_of_a_peak_is_above_one(device: str) -> None:
    sheet, form = find_sheet(device), read_format("bf16")
    assert form is not None
    for engine in ("trtllm", "vllm", "sglang", "eager", "torch-compile"):
        found = reach(sheet, TABLE, form=form, engine=engine)
        assert not isinstance(found, NoData)
        assert sheet.bandwidth_bytes_per_s is not None
        assert found.machine.weight_bytes_per_s <= sheet.bandwidth_bytes_per_s.value
        assert found.machine.kv_bytes_per_s <= sheet.bandwidth_bytes_per_s.value
        assert found.machine.flop_per_s <= max(f.value for f in sheet.peaks.values())


def test_a_summary_answers_a_contract_with_percentiles_and_memory() -> None:
    from fitwright.catalog.transformers import find_transformer

    shape, form = find_transformer("Llama-3.1-8B"), read_format("bf16")
    assert shape is not None
    assert form is not None
    found = summary(shape, form, sheet=find_sheet("l40s"), table=TABLE, concurrency=16,
                    engine=ENGINES["vllm"])  # fmt: skip
    assert isinstance(found, Summary)
    assert found.ttft_p99_s.value >= found.ttft_s.value
    assert found.tokens_per_s.value == pytest.approx(found.requests_per_s.value * 256)
    assert found.memory.cache_tokens > 0
    too_big = find_transformer("Llama-3.1-70B")
    assert too_big is not None
    refused = summary(too_big, form, sheet=find_sheet("l40s"), table=TABLE)
    assert isinstance(refused, NoData)


def test_a_card_without_16_bits_runs_llama_cpp_in_32() -> None:
    assert value(replace(LOCAL, device_id="tesla-p4", inputs={"model": "Llama-2-7B",
                                                              "quant": "q4_0"})) > 0  # fmt: skip


def test_the_benchmark_of_vllm_is_not_taken_at_the_pace_of_long_runs() -> None:
    """From a cold start with some dozens of prompts its products are slower; other engines and
    the serving of vLLM are not charged with that."""
    table = {(e.dtype, e.scope): e.constants for e in evidence("llm") if e.what == "llm/software"}
    assert table["vllm-bench", "gpu"]["pace"] < 1
    assert "pace" not in table["vllm", "gpu"] and "pace" not in table["trtllm", "gpu"]

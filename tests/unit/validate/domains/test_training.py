"""Rows about training, memory and collectives: read as their sources write them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fitwright.catalog.evidence import all_evidence
from fitwright.catalog.sheets import find_sheet
from fitwright.records.estimate import Estimate, NoData
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains import PREDICTORS
from fitwright.validate.domains.training_inputs import Ran, modes, read, usual_heads


def case(domain: str, device: str, metric: str, unit: str, **inputs: object) -> Case:
    return Case(
        case="X",
        domain=domain,
        device_id=device,
        inputs=inputs,
        metric=metric,
        measured=None,
        unit=unit,
    )


def answer(asked: Case) -> Estimate:
    knowledge = Knowledge(sheet=find_sheet(asked.device_id), evidence=all_evidence())
    found = PREDICTORS[asked.domain](asked, knowledge)
    assert isinstance(found, Estimate), found
    return found


def ran(asked: Case) -> Ran:
    found = read(asked)
    assert isinstance(found, Ran), found
    return found


MEGATRON = case(
    "training/megatron",
    "a100-80-sxm",
    "achieved_tflops_per_gpu",
    "TFLOP/s/GPU",
    layers=80,
    hidden=12288,
    heads=96,
    tensor_par=8,
    pipeline_par=8,
    gpus=1536,
    global_batch=2304,
)
FOUNDRY = case(
    "training/fsdp",
    "a100-40-sxm",
    "tokens_per_s_per_gpu",
    "tok/s/GPU",
    model="13b",
    n_gpus=64,
    precision="bf16",
    micro_batch=16,
    global_batch=1024,
    seq_len=2048,
    act_ckpt=True,
)


def test_a_megatron_row_leaves_data_parallelism_and_micro_batches_to_be_worked_out() -> None:
    found = ran(MEGATRON)
    assert (found.layout.dp, found.free, found.layout.recompute) == (24, True, "full")
    assert 100e12 < answer(MEGATRON).value < 200e12  # a third to two thirds of the peak


def test_an_foundry_row_names_a_size_and_accumulates_over_the_global_batch() -> None:
    found = ran(FOUNDRY)
    assert found.shape.hidden == 5120
    assert (found.layout.dp, found.layout.micro_batches, found.layout.zero) == (64, 1, 3)
    assert 1000 < answer(FOUNDRY).value < 3000


def test_a_titan_row_cuts_its_local_batch_into_one_per_stage() -> None:
    found = ran(
        case(
            "training/fsdp",
            "h100-sxm-96-hbm2e",
            "tokens_s_per_gpu",
            "tok/s/GPU",
            model="Llama-3.1-405B",
            gpus=512,
            fsdp=8,
            tensor_par=8,
            pipeline_par=8,
            local_batch=32,
            seq_len=8192,
            float8="1",
            activation_checkpoint="full",
        )
    )
    assert (found.layout.dp, found.layout.micro_batch, found.layout.micro_batches) == (8, 4, 8)
    assert found.layout.float8 == "tensorwise" and found.layout.sequence_parallel


@pytest.mark.parametrize(("way", "ways"), [("DP", (4, 1, 1)), ("TP", (1, 4, 1)), ("PP", (1, 1, 4))])
def test_four_devices_split_one_way(way: str, ways: tuple[int, int, int]) -> None:
    asked = case(
        "training/4gpu",
        "a100-80-sxm",
        "measured_iteration_ms",
        "ms",
        model="GPT2-Large",
        global_batch=4,
        parallelism_4way=way,
    )
    layout = ran(asked).layout
    assert (layout.dp, layout.tp, layout.pp) == ways
    assert 0.1 < answer(asked).value < 5  # seconds


def test_a_pipeline_without_micro_batches_is_about_as_slow_as_one_device() -> None:
    def seconds(way: str) -> float:
        asked = case(
            "training/4gpu",
            "a100-80-sxm",
            "measured_iteration_ms",
            "ms",
            model="GPT2-Large",
            global_batch=4,
            parallelism_4way=way,
        )
        return answer(asked).value

    assert seconds("PP") > 3 * seconds("DP")


@pytest.mark.parametrize(
    ("mode", "read_as"),
    [
        ("none", ("none", False)),
        ("seqsel", ("selective", True)),
        ("sel", ("selective", False)),
        ("seq", ("none", True)),
        ("selective recompute + sequence parallel", ("selective", True)),
        ("full recompute, no sequence parallel", ("full", False)),
    ],
)
def test_the_modes_of_korthikanti(mode: str, read_as: tuple[str, bool]) -> None:
    assert modes(mode) == read_as


def test_activations_of_a_named_model_need_no_more_than_the_paper_states() -> None:
    asked = case(
        "memory/training",
        "a100-80-sxm",
        "activations_GiB_per_gpu",
        "GiB",
        model="gpt3-175B",
        tensor_par=8,
        pipeline_par=8,
        mode="seqsel",
    )
    # the bar of figure 1
    assert answer(asked).value / 2**30 == pytest.approx(12.3515625, rel=1e-6)


def test_an_eight_bit_optimiser_takes_less_memory() -> None:
    def peak(config: str) -> float:
        asked = case(
            "memory/training",
            "a100-80-sxm",
            "peak_memory_GB",
            "GB",
            model="Llama-2-7B fine-tune (Alpaca)",
            dtype="bf16 full",
            config=config,
        )
        return answer(asked).value

    assert peak("ao 8-bit AdamW") < 0.9 * peak("AdamW fused")


def test_an_unknown_model_without_a_size_has_no_data() -> None:
    asked = case("training/fsdp", "h100-sxm", "tokens_s_per_gpu", "tok/s/GPU", model="nobody")
    found = PREDICTORS[asked.domain](
        asked, Knowledge(sheet=find_sheet("h100-sxm"), evidence=all_evidence())
    )
    assert isinstance(found, NoData) and "nobody" in found.reason


def test_a_device_without_bfloat16_has_no_data() -> None:
    asked = FOUNDRY
    found = PREDICTORS[asked.domain](
        asked, Knowledge(sheet=find_sheet("v100-sxm2"), evidence=all_evidence())
    )
    assert isinstance(found, NoData) and "no fast path" in found.reason


def test_a_model_that_only_states_its_size_is_answered_under_a_wider_band() -> None:
    def width(model: str) -> float:
        found = answer(
            case(
                "training/fsdp",
                "h100-sxm",
                "tokens_per_s_per_gpu",
                "tok/s/GPU",
                model=model,
                gpus=8,
                local_batch=1,
                seq_len=4096,
            )
        )
        return found.high / found.low

    assert width("somebodys-model-7B") > 1.2 * width("Llama-2-7B")


def test_a_tpu_is_answered_by_analogy_and_says_so() -> None:
    found = answer(
        case(
            "training/maxtext",
            "tpu-v5e",
            "tflops_per_chip",
            "TFLOP/s",
            model="Llama-2-7B",
            gpus=256,
            local_batch=4,
            seq_len=2048,
        )
    )
    assert found.rung == "kind" and any("analogy" in r for r in found.reasons)
    assert 20e12 < found.value < 197e12


@pytest.mark.parametrize("spelt", ["all_reduce", "allreduce", "AllReduce", "all-reduce"])
def test_collectives_are_known_by_any_spelling(spelt: str) -> None:
    asked = case(
        "op/collective", "h100-sxm", "latency_us", "us", op_name=spelt, num_gpus=8, bytes=2**20
    )
    assert 5e-6 < answer(asked).value < 1e-4


def test_a_bus_bandwidth_counts_what_crosses_the_wire() -> None:
    def per_second(metric: str) -> float:
        return answer(
            case("op/collective", "h100-sxm", metric, "GB/s", op="all_reduce", ranks=8, bytes=2**30)
        ).value

    assert per_second("busbw_gb_s") == pytest.approx(2 * 7 / 8 * per_second("algbw_gb_s"))


def test_an_unknown_collective_has_no_data() -> None:
    asked = case("op/collective", "h100-sxm", "latency_us", "us", op="gossip", ranks=8, bytes=1)
    found = PREDICTORS[asked.domain](
        asked, Knowledge(sheet=find_sheet("h100-sxm"), evidence=all_evidence())
    )
    assert isinstance(found, NoData) and "gossip" in found.reason


def test_an_option_that_splits_a_step_is_the_same_step_on_several_devices() -> None:
    sizes = {"model": "gpt2_large", "batch": 4, "seq_len": 1024, "dtype": "fp32"}
    told = case("training/single-gpu-fp32", "a100-40-sxm", "e2e_ms", "ms", **sizes, option="tp4")
    split = {"parallelism_4way": "TP", "gpus": 4, "global_batch": 4}
    four = case("training/4gpu", "a100-40-sxm", "e2e_ms", "ms", **sizes, **split)
    assert answer(told) == answer(four)


def test_a_dlperf_pipeline_accumulates_over_32_micro_batches_and_sends_whole_activations() -> None:
    found = ran(
        case(
            "training/megatron",
            "v100-sxm2",
            "oneflow_samples_s",
            "samples/s",
            kind="MPPP",
            data_par=1,
            tensor_par=8,
            pipeline_par=4,
            gpus=32,
            global_batch=512,
            hidden=2304,
            layers=24,
        )
    )
    assert (found.layout.micro_batch, found.layout.micro_batches) == (16, 32)
    assert found.layout.whole_sends and not found.free
    assert found.shape.heads == 24


@pytest.mark.parametrize(
    ("hidden", "heads"), [(768, 12), (1536, 16), (3072, 32), (6144, 48), (12288, 96)]
)
def test_heads_that_a_row_leaves_out_are_those_of_megatrons_papers(hidden: int, heads: int) -> None:
    assert usual_heads(hidden) == heads


def refused(asked: Case) -> str:
    knowledge = Knowledge(sheet=find_sheet(asked.device_id), evidence=all_evidence())
    found = PREDICTORS[asked.domain](asked, knowledge)
    assert isinstance(found, NoData), found
    return found.reason


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"cpu_offload": True}, "offloads to the host"),
        ({"ep": 8}, "experts spread over devices"),
        ({"dtype": "fp32"}, "float32"),
    ],
)
def test_training_that_nothing_measured_stands_for_is_refused(
    inputs: dict[str, object], reason: str
) -> None:
    base = {"model": "Llama-3.1-8B", "gpus": 8, "fsdp": 8, "local_batch": 1, "seq_len": 8192}
    asked = case("training/fsdp", "h100-sxm", "tokens_s_per_gpu", "tok/s/GPU", **base, **inputs)
    assert reason in refused(asked)


def peak_gb(**inputs: object) -> float:
    asked = case("memory/training", "a100-80-sxm", "peak_memory_GB", "GB", **inputs)
    return answer(asked).value / 1e9


TUNED = {"model": "Llama-2-7B fine-tune (Alpaca)", "dtype": "bf16 full"}


def test_bfloat16_throughout_takes_eight_bytes_a_parameter_and_little_more() -> None:
    found = peak_gb(config="AdamW fused", **TUNED)
    # 6.74e9 parameters; activations and logits of two short sequences add a few per cent
    assert 8 * 6.74 < found < 8 * 6.74 * 1.08


def test_a_narrow_optimiser_saves_its_bytes_and_nothing_else() -> None:
    wide, narrow = peak_gb(config="AdamW fused", **TUNED), peak_gb(config="ao 8-bit AdamW", **TUNED)
    assert wide - narrow == pytest.approx(2 * 6.74, rel=0.01)


def test_adapters_hold_the_frozen_weights_and_hardly_more_states() -> None:
    said = {"model": "Llama-2-7B", "gpus": 1, "local_batch": 1, "seq_len": 512}
    again = {"activation_checkpoint": "full"}
    assert 2 * 6.74 < peak_gb(method="LoRA", lora_rank=8, **said, **again) < 2.4 * 6.74
    assert peak_gb(method="QLoRA", lora_rank=8, **said, **again) < 0.9 * 6.74


def test_frozen_weights_have_no_gradients_to_compute() -> None:
    said = {"model": "Llama-2-7B", "gpus": 1, "local_batch": 4, "seq_len": 2048}
    whole = answer(case("training/fsdp", "a100-80-sxm", "step_s", "s", **said))
    adapted = answer(case("training/fsdp", "a100-80-sxm", "step_s", "s", method="LoRA", **said))
    assert 0.55 < adapted.value / whole.value < 0.8


def test_the_first_stage_of_zero_shares_the_optimiser_alone() -> None:
    said = {"model": "Llama-2-7B", "gpus": 8, "local_batch": 1, "seq_len": 512}
    first, third = peak_gb(zero_stage=1, **said), peak_gb(zero_stage=3, **said)
    # weights and gradients of two bytes each against an eighth of them
    assert first - third > 0.8 * 4 * 6.74 * 7 / 8


@pytest.mark.parametrize("precision", ["bf16 amp", "float32"])
def test_words_of_two_inputs_do_not_make_a_third(precision: str) -> None:
    said = {"model": "Llama-2-7B", "gpus": 8, "local_batch": 1, "seq_len": 512, "zero": 1}
    plain = peak_gb(precision=precision, activation_checkpoint="full", **said)
    assert plain > 4 * 6.74 + 12 * 6.74 / 8


def test_a_share_of_the_peak_and_a_total_are_the_flop_per_device_again() -> None:
    each = answer(MEGATRON).value
    share = answer(replace(MEGATRON, metric="pct_of_peak", unit="%"))
    total = answer(replace(MEGATRON, metric="aggregate_pflops", unit="PFLOP/s"))
    assert share.value == pytest.approx(each / 312e12, rel=1e-6)
    assert total.value == pytest.approx(each * 1536, rel=1e-6)


def test_without_full_recomputation_megatron_counts_three_passes_and_not_four() -> None:
    def counted(mode: str) -> float:
        asked = replace(MEGATRON, inputs={**MEGATRON.inputs, "mode": mode})
        step = answer(replace(asked, metric="iteration_s", unit="s"))
        return answer(asked).value * step.value

    assert counted("selective") == pytest.approx(0.75 * counted("full"), rel=1e-6)


@pytest.mark.parametrize(
    ("stage", "gigabytes"),
    [(1, 31.4), (2, 16.6), (3, 1.9)],
)
def test_states_under_zero_are_those_of_its_authors(stage: int, gigabytes: float) -> None:
    # Rajbhandari et al. 2020, figure 1: 7.5e9 parameters on 64 devices
    inputs = {"hidden": 4096, "layers": 36, "heads": 32, "zero_stage": stage, "gpus": 64}
    asked = case("memory/training", "v100-sxm2", "params_optimizer_GB_per_gpu", "GB", **inputs)
    assert answer(asked).value / 1e9 == pytest.approx(gigabytes, rel=0.03)  # printed to 3 digits


def test_every_run_of_llm_foundry_with_the_most_logits_fits_its_device() -> None:
    # 18 sequences of 2,048 tokens ran on 40 GiB: logits in bfloat16 alone, summed in one kernel
    inputs = {"model": "350m", "n_gpus": 16, "precision": "bf16", "micro_batch": 18}
    found = peak_gb(seq_len=2048, act_ckpt=False, sharding="FULL_SHARD", **inputs)
    assert found < 1.005 * 40 * 2**30 / 1e9


@pytest.mark.parametrize("name", ["mode", "recompute", "recompute_granularity"])
def test_megatron_reads_recomputation_under_any_of_its_names(name: str) -> None:
    asked = replace(MEGATRON, inputs={**MEGATRON.inputs, name: "selective"})
    assert ran(asked).layout.recompute == "selective"
    assert ran(asked).software == "megatron-2022"


def test_megatron_of_2022_keeps_one_gradient_and_not_two() -> None:
    inputs = {"model": "gpt3-175B", "tensor_par": 8, "pipeline_par": 8, "mode": "seqsel"}
    parts = ("params_optimizer_GiB_per_gpu", "activations_GiB_per_gpu")
    counted = sum(
        answer(case("memory/training", "a100-80-sxm", part, "GiB", **inputs)).value
        for part in parts
    )
    # embedding, gathered activations and libraries come on top of Korthikanti's two bars
    assert counted / 1e9 < peak_gb(**inputs) < 1.2 * counted / 1e9

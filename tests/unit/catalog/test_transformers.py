"""Shapes are found by the names people use, and hold as many parameters as published."""

from __future__ import annotations

import pytest

from fitwright.catalog.transformers import find_transformer, published_parameters, transformers
from fitwright.records.transformer import Transformer

# norms, biases and the relative positions of T5 are not counted; authors round to three digits
TOLERANCE = 0.03


PUBLISHED = list(published_parameters())


@pytest.mark.parametrize(("shape", "published"), PUBLISHED, ids=[t.name for t, _ in PUBLISHED])
def test_a_shape_holds_as_many_parameters_as_published(
    shape: Transformer, published: float
) -> None:
    assert shape.parameters == pytest.approx(published, rel=TOLERANCE)


@pytest.mark.parametrize(
    ("name", "is_called"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "Llama-3-8B"),
        ("LLaMA-2-7B", "Llama-2-7B"),
        ("metaai/Llama-2-13b-chat-hf", "Llama-2-13B"),
        ("Qwen/Qwen3-32B", "Qwen3-32B"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507-FP8", "Qwen3-30B-A3B"),
        ("google/gemma-2-9b-it", "Gemma-2-9B"),
        ("facebook/chameleon-30b", "Chameleon-30B"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "Mixtral-8x7B"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "Mistral-7B"),
        ("megatron-22B", "Megatron-22B"),
        ("gpt3-175B", "GPT-3-175B"),
        ("turing-530B", "Megatron-530B"),
        ("bert_large", "BERT-large"),
        ("gpt2_large", "GPT-2-large"),
        ("GPT2-Large", "GPT-2-large"),
        ("gpt3_xl", "GPT-3-XL"),
        ("gpt3_27", "GPT-3-2.7B"),
        ("opt_13", "OPT-1.3B"),
        ("mpt-30b", "MPT-30B"),
        ("llama3_1-405b", "Llama-3.1-405B"),
        ("Llama_3.1_8B", "Llama-3-8B"),
        ("llama_2_70b_chat", "Llama-2-70B"),
        ("phi3.5", "Phi-3-mini"),
        ("deepseek-r1:70b", "Llama-3-70B"),
        ("deepseek-r1:671b", "DeepSeek-V3"),
        ("llama_v2_70b", "Llama-2-70B"),
        ("Salesforce/xgen-7b-8k-inst", "Llama-7B"),
        ("Hermes-3-405B", "Llama-3.1-405B"),
        ("llama3.1-8b-edge", "Llama-3-8B"),
        ("llama2-70b-99.9", "Llama-2-70B"),
        ("gptj-99", "GPT-J-6B"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "Qwen2.5-32B"),
        ("deepseek-ai/DeepSeek-R1", "DeepSeek-V3"),
        ("lmsys/vicuna-13b-v1.5", "Llama-13B"),
        ("FreedomIntelligence/phoenix-inst-chat-7b", "BLOOM-7.1B"),
        ("togethercomputer/RedPajama-INCITE-7B-Chat", "Pythia-6.9B"),
        ("h2oai/h2ogpt-gm-oasst1-en-2048-open-llama-7b-preview-300bt-v2", "Llama-7B"),
        ("somebody/Fine-Llama-3.1-70B-Tuned", "Llama-3-70B"),
        ("bert-base-uncased", "BERT-base"),
        ("switchxl4", "Switch-XL-4"),
    ],
)
def test_a_name_as_people_write_it_finds_its_shape(name: str, is_called: str) -> None:
    found = find_transformer(name)
    assert found is not None
    assert (found.name, found.derived) == (is_called, False)


def test_a_size_alone_is_read_within_its_family() -> None:
    found = find_transformer("30b", line="MPT")
    assert found is not None
    assert found.name == "MPT-30B"


@pytest.mark.parametrize(
    ("name", "parameters", "active"),
    [
        ("nobody/nothing-13b", 13e9, 13e9),
        ("nothing-8x3b", 19.7e9, 5.4e9),
        ("nothing-100B-A10B", 1e11, 1e10),
        ("nothing-350m", 3.5e8, 3.5e8),
    ],
)
def test_an_unknown_name_with_a_size_gets_a_shape_of_that_size(
    name: str, parameters: float, active: float
) -> None:
    found = find_transformer(name)
    assert found is not None
    assert found.derived
    assert "unknown" in found.source
    # the shape is whole heads wide, so it meets the size only about
    assert found.parameters == pytest.approx(parameters, rel=0.1)
    assert found.active_parameters == pytest.approx(active, rel=0.5)


@pytest.mark.parametrize("name", ["", "resnet50", "nothing"])
def test_a_name_that_says_nothing_finds_nothing(name: str) -> None:
    assert find_transformer(name) is None


def test_latent_attention_counts_its_own_projections() -> None:
    deepseek = next(t for t in transformers() if t.name == "DeepSeek-V3")
    assert deepseek.active_parameters == pytest.approx(37.5e9, rel=0.05)  # authors: 37e9


@pytest.mark.parametrize(
    ("name", "shape"),
    [("llama-2-7b.Q4_K_M.gguf", "Llama-2-7B"), ("llama 8B Q4_K - Medium", "Llama-3-8B"),
     ("Meta-Llama-3.1-8B-Instruct-IQ2_XXS", "Llama-3-8B"), ("llama3.1:70b", "Llama-3-70B"),
     ("TheBloke/Llama-2-70B-chat-GPTQ", "Llama-2-70B"),
     ("Qwen/Qwen2.5-7B-Instruct-AWQ", "Qwen2-7B"),
     ("unsloth/Qwen3-8B-unsloth-bnb-4bit", "Qwen3-8B"), ("gpt-oss 20B MXFP4 MoE", "gpt-oss-20b"),
     ("qwen3moe 30B.A3B Q4_K - Medium", "Qwen3-30B-A3B"),
     ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "Llama-3-8B"),
     ("deepseek-ai/DeepSeek-V2-Lite-Chat", "DeepSeek-V2-Lite")],
)  # fmt: skip
def test_names_of_quantised_files_stand_for_the_model_inside(name: str, shape: str) -> None:
    found = find_transformer(name)
    assert found is not None
    assert found.name == shape

"""The text models of the benchmark, with random weights: built, ready to export.

The transformers keep the attention that their library chooses by itself, as users get them;
the exporter writes it out as plain operators. Random weights under the library's own
initialisation behave: every block begins with or ends in a layer normalisation.
"""

from __future__ import annotations

from typing import cast

from peer_inputs import TAGGER_VOCABULARY
from torch import Tensor, nn
from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel

GPT_LAYERS = 6
TAGS = 17  # universal part-of-speech tags
TAGGER_EMBEDDING, TAGGER_HIDDEN, TAGGER_LAYERS = 128, 256, 2


class LastHiddenState(nn.Module):
    """An encoder with three tensors in and one out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """Token ids, mask and segments, shape (batch, tokens), to (batch, tokens, width)."""
        found = self.model(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        )
        return cast("Tensor", found.last_hidden_state)


class Prefill(nn.Module):
    """The first pass of a generator: next-token logits, and the keys and values of each layer."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor) -> tuple[Tensor, ...]:
        """Token ids, shape (batch, tokens); logits of the last token, then keys, values, ..."""
        found = self.model(input_ids=input_ids, use_cache=True, logits_to_keep=1)
        cache = [tensor for layer in found.past_key_values.layers for tensor in layer_state(layer)]
        return (found.logits[:, -1], *cache)


def layer_state(layer: object) -> tuple[Tensor, Tensor]:
    """Keys and values of one layer, shape (batch, heads, tokens, head width)."""
    return layer.keys, layer.values  # type: ignore[attr-defined]


class Tagger(nn.Module):
    """Embedding, a bidirectional LSTM of two layers, and a tag per token."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TAGGER_VOCABULARY, TAGGER_EMBEDDING)
        self.lstm = nn.LSTM(
            TAGGER_EMBEDDING,
            TAGGER_HIDDEN,
            num_layers=TAGGER_LAYERS,
            bidirectional=True,
            batch_first=True,
        )
        self.tag = nn.Linear(2 * TAGGER_HIDDEN, TAGS)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Token ids, shape (batch, tokens), to logits, shape (batch, tokens, tags)."""
        read, _ = self.lstm(self.embedding(input_ids))
        return cast("Tensor", self.tag(read))


def bert_base() -> nn.Module:
    """The encoder BERT-base (`BertConfig` defaults)."""
    return LastHiddenState(BertModel(BertConfig(), add_pooling_layer=False)).eval()


def minilm_l6() -> nn.Module:
    """MiniLM-L6-H384, as all-MiniLM-L6-v2 uses it: 6 layers, width 384, 12 heads."""
    config = BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
    )
    return LastHiddenState(BertModel(config, add_pooling_layer=False)).eval()


def gpt_small() -> nn.Module:
    """A small GPT-2: 6 layers, width 512, 8 heads, its full vocabulary of 50,257."""
    config = GPT2Config(n_layer=GPT_LAYERS, n_embd=512, n_head=8)
    return Prefill(GPT2LMHeadModel(config)).eval()


def lstm_tagger() -> nn.Module:
    """A tagger of 128 wide embeddings and 2 x 256 wide states."""
    return Tagger().eval()


def gpt_outputs() -> tuple[str, ...]:
    """Names of what `Prefill` returns."""
    pairs = ((f"keys_{i}", f"values_{i}") for i in range(GPT_LAYERS))
    return ("logits", *(name for pair in pairs for name in pair))

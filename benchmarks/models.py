"""Builds the two models of the benchmark from their published configurations.

``resnet50.onnx`` (`ResNetConfig` defaults, 224x224 images) and ``bert-base.onnx``
(`BertConfig` defaults, 128 tokens), both batch 1 with fixed shapes and *random* weights
under a fixed seed: nothing is downloaded, nothing is trained, so top-1 answers mean
nothing and the models are compared by the distance of their outputs.

Plain random weights would make the ResNet a bad stand-in for a trained one: its activations
would grow from block to block, and small differences with them (with a scale of 1 on every
branch, bfloat16 alone moves the outputs by 13 %). So its batch normalisation statistics are
those of a few random batches, and the last normalisation of every residual branch starts
near zero, as ResNets are trained from (Goyal et al., "Accurate, Large Minibatch SGD", 2017,
section 5.1).

Needs ``torch``, ``transformers``, ``onnx`` and ``onnxscript``. Run by hand:
``python benchmarks/models.py [--out benchmarks/.work/models]``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel, ResNetConfig, ResNetForImageClassification
from transformers.models.resnet.modeling_resnet import ResNetBottleNeckLayer

SEED = 0
OPSET = 18
IR_VERSION = 10
IMAGE_SHAPE = (1, 3, 224, 224)
NUM_TOKENS = 128
STATISTICS_BATCHES = 4
STATISTICS_BATCH = 8
BRANCH_SCALE = 0.1  # of the last batch normalisation of every residual branch
HERE = Path(__file__).parent


class Logits(nn.Module):
    """The classifier with a tensor in and a tensor out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> Tensor:
        logits: Tensor = self.model(pixel_values).logits
        return logits


class LastHiddenState(nn.Module):
    """The encoder with three tensors in and one out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        hidden: Tensor = self.model(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        return hidden


def resnet50() -> nn.Module:
    """ResNet-50 whose batch normalisation fits its random weights and inputs in 0..1."""
    model = ResNetForImageClassification(ResNetConfig(num_labels=1000))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # plain average over the batches seen
            module.reset_running_stats()
        if isinstance(module, ResNetBottleNeckLayer):
            nn.init.constant_(module.layer[-1].normalization.weight, BRANCH_SCALE)
    model.train()
    with torch.no_grad():
        for _ in range(STATISTICS_BATCHES):
            model(torch.rand(STATISTICS_BATCH, *IMAGE_SHAPE[1:]))
    return Logits(model).eval()


def bert_base() -> nn.Module:
    """BERT-base encoder; plain attention, so that every tool sees the same simple operators."""
    return LastHiddenState(BertModel(BertConfig(attn_implementation="eager"))).eval()


def export(model: nn.Module, arguments: dict[str, Tensor], *, output: str, file: Path) -> None:
    """One self-contained ONNX file with fixed shapes and nothing about the machine in it."""
    torch.onnx.export(
        model,
        tuple(arguments.values()),
        str(file),
        input_names=list(arguments),
        output_names=[output],
        opset_version=OPSET,
        external_data=False,
        dynamo=True,
    )
    exported = onnx.load(file)
    strip(exported)
    onnx.save(exported, file)


def strip(model: onnx.ModelProto) -> None:
    """Drop the stack traces and other notes of the exporter."""
    model.ir_version = min(model.ir_version, IR_VERSION)
    graph = model.graph
    graph.name = "model"
    del model.metadata_props[:]
    del graph.metadata_props[:]
    del graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]


def build_resnet50(folder: Path) -> Path:
    """Write ``resnet50.onnx``; about 100 MB."""
    torch.manual_seed(SEED)
    file = folder / "resnet50.onnx"
    image = torch.rand(*IMAGE_SHAPE)
    export(resnet50(), {"pixel_values": image}, output="logits", file=file)
    return file


def build_bert_base(folder: Path) -> Path:
    """Write ``bert-base.onnx``; about 440 MB."""
    torch.manual_seed(SEED)
    file = folder / "bert-base.onnx"
    arguments = {
        "input_ids": torch.randint(0, BertConfig().vocab_size, (1, NUM_TOKENS)),
        "attention_mask": torch.ones(1, NUM_TOKENS, dtype=torch.int64),
        "token_type_ids": torch.zeros(1, NUM_TOKENS, dtype=torch.int64),
    }
    export(bert_base(), arguments, output="last_hidden_state", file=file)
    return file


def main() -> None:
    """Build what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / ".work" / "models")
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in {"resnet50": build_resnet50, "bert-base": build_bert_base}.items():
        file = folder / f"{name}.onnx"
        if not file.is_file():
            build(folder)
        print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

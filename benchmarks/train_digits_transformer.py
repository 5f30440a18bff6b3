"""Trains a small vision transformer on scikit-learn's handwritten digits.

Run by hand: ``python benchmarks/train_digits_transformer.py [--out benchmarks/.work/models]``;
about two minutes on two CPU cores.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
import training
from torch import Tensor, nn
from transformers import ViTConfig, ViTForImageClassification

NAME, ARGUMENT = "digits-transformer", "image"
WIDTH, LAYERS, HEADS, CLASSES = 128, 6, 4, 10
EPOCHS, RATE = 50, 1e-3
DEVIATION = WIDTH**-0.5  # of the initial weights; from 0.02 it learns too slowly


class Reader(nn.Module):
    """The transformer with a tensor in and a tensor out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """Images, shape (batch, 1, 8, 8), to logits, shape (batch, 10)."""
        return cast("Tensor", self.model(image).logits)


def network() -> nn.Module:
    """ViT of 1.2 million parameters; an image is 16 patches of 2x2 pixels."""
    config = ViTConfig(
        image_size=8,
        patch_size=2,
        num_channels=1,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        num_labels=CLASSES,
        initializer_range=DEVIATION,
    )
    return Reader(ViTForImageClassification(config))


def build(folder: Path) -> None:
    """Train and write everything."""
    torch.manual_seed(training.SEED)
    data = training.digits(NAME)
    model = training.train(network(), data, epochs=EPOCHS, rate=RATE, vary=training.shifted)
    training.save(model, data, argument=ARGUMENT, folder=folder)


if __name__ == "__main__":
    build(training.folder_argument(__doc__))

"""Trains a residual CNN on scikit-learn's handwritten digits.

Run by hand: ``python benchmarks/train_digits_cnn.py [--out benchmarks/.work/models]``; about
two minutes on two CPU cores.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
import training
from torch import Tensor, nn

NAME, ARGUMENT = "digits-cnn", "image"
CHANNELS, BLOCKS, CLASSES = 96, 3, 10
EPOCHS, RATE = 20, 2e-3


class Block(nn.Module):
    """Two convolutions around a shortcut; shape stays."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(CHANNELS)
        self.second = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(CHANNELS)

    def forward(self, features: Tensor) -> Tensor:
        """Features, shape (batch, channels, 8, 8), to the same shape."""
        changed = torch.relu(self.first_norm(self.first(features)))
        return torch.relu(features + cast("Tensor", self.second_norm(self.second(changed))))


def network() -> nn.Module:
    """A stem, three residual blocks at full size, and a classifier on the mean."""
    return nn.Sequential(
        nn.Conv2d(1, CHANNELS, 3, padding=1, bias=False),
        nn.BatchNorm2d(CHANNELS),
        nn.ReLU(),
        *(Block() for _ in range(BLOCKS)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(CHANNELS, CLASSES),
    )


def build(folder: Path) -> None:
    """Train and write everything."""
    torch.manual_seed(training.SEED)
    data = training.digits(NAME)
    model = training.train(network(), data, epochs=EPOCHS, rate=RATE, vary=training.shifted)
    training.save(model, data, argument=ARGUMENT, folder=folder)


if __name__ == "__main__":
    build(training.folder_argument(__doc__))

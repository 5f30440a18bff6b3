"""Trains a wide MLP on scikit-learn's breast cancer data (569 samples, 30 features, 2 classes).

Run by hand: ``python benchmarks/train_breast_cancer.py [--out benchmarks/.work/models]``; some
seconds. The standardisation of the features is the network's first layer.
"""

from __future__ import annotations

from pathlib import Path

import torch
import training
from torch import Tensor, nn

NAME, ARGUMENT = "breast-cancer", "features"
FEATURES, WIDTH, CLASSES = 30, 1024, 2
EPOCHS, RATE = 40, 1e-3


class Standardize(nn.Module):
    """Features less their mean, over their deviation in the training part."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("deviation", torch.ones(FEATURES))

    def forward(self, features: Tensor) -> Tensor:
        """Shape (batch, 30), to the same shape."""
        return (features - self.mean) / self.deviation


def network() -> nn.Module:
    """Three hidden layers of 1024."""
    return nn.Sequential(
        Standardize(),
        nn.Linear(FEATURES, WIDTH),
        nn.ReLU(),
        nn.Linear(WIDTH, WIDTH),
        nn.ReLU(),
        nn.Linear(WIDTH, WIDTH),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(WIDTH, CLASSES),
    )


def build(folder: Path) -> None:
    """Train and write everything."""
    from sklearn.datasets import load_breast_cancer

    torch.manual_seed(training.SEED)
    loaded = load_breast_cancer()
    data = training.split(loaded.data, loaded.target, name=NAME)
    model = network()
    known = torch.from_numpy(data.train[0])
    model[0].mean.copy_(known.mean(0))  # type: ignore[index, unused-ignore]
    model[0].deviation.copy_(known.std(0))  # type: ignore[index, unused-ignore]
    training.train(model, data, epochs=EPOCHS, rate=RATE)
    training.save(model, data, argument=ARGUMENT, folder=folder)


if __name__ == "__main__":
    build(training.folder_argument(__doc__))

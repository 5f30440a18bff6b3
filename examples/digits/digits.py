"""The handwritten digits inside scikit-learn: 1,797 real 8x8 greyscale images, 10 classes.

The contract's data source is `load`: the 40 % of the images that `train.py` never saw, so
the accuracy that Fitwright reports is honest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HELD_OUT_SHARE = 0.4
SPLIT_SEED = 0
MAX_GREY = 16.0  # pixels are counts 0..16, as the data set's description says


def split() -> dict[str, NDArray[Any]]:
    """Both parts of the fixed, stratified split.

    `train_image` and `image`: float32, shape (samples, 1, 8, 8), scaled to 0..1;
    `train_labels` and `labels`: int64, shape (samples,).
    """
    digits = load_digits()
    images = (digits.images / MAX_GREY).astype(np.float32)[:, None]
    labels = digits.target.astype(np.int64)
    train_image, image, train_labels, labels = train_test_split(
        images, labels, test_size=HELD_OUT_SHARE, random_state=SPLIT_SEED, stratify=labels
    )
    return {
        "train_image": train_image,
        "train_labels": train_labels,
        "image": image,
        "labels": labels,
    }


def load() -> dict[str, NDArray[Any]]:
    """The held-out images and their labels, as the contract asks for them."""
    parts = split()
    return {"image": parts["image"], "labels": parts["labels"]}

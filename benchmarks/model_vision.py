"""The image models of the benchmark, with random weights: built, tamed, ready to export.

ResNet-50, ViT-S and MobileNet-V2 come from the published configurations in ``transformers``,
the U-Net is written out here (Ronneberger et al. 2015, with batch normalisation and padded
convolutions, 32 channels at full resolution).

Plain random weights would make bad stand-ins for trained ones. In the networks with residual
branches the activations would grow from block to block, and small differences with them (with
a scale of 1 on every branch of ResNet-50, bfloat16 alone moves the outputs by 13 %). So batch
normalisation holds the statistics of a few batches of the inputs that `peer_inputs` draws, and
the last normalisation of every residual branch starts near zero, as ResNets are trained from
(Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 5.1).

In MobileNet-V2, whose many layers stand one behind the other, a random network with batch
normalisation also amplifies small differences from layer to layer (Yang et al., "A mean field
theory of batch normalization", 2019); a shift of 0.5 before each ReLU6 keeps more of the values
in its linear part. bfloat16 arithmetic then moves the outputs of these models by 0.7 to 1.3 %.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import cast

import numpy as np
import torch
from peer_inputs import INPUTS
from torch import Tensor, nn
from transformers import (
    MobileNetV2Config,
    MobileNetV2ForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)
from transformers.models.mobilenet_v2.modeling_mobilenet_v2 import (
    MobileNetV2ConvLayer,
    MobileNetV2InvertedResidual,
)
from transformers.models.resnet.modeling_resnet import ResNetBottleNeckLayer

STATISTICS_BATCHES = 4
STATISTICS_BATCH = 8
BRANCH_SCALE = 0.1  # of the last batch normalisation of every residual branch
ACTIVATION_SHIFT = 0.5  # of the batch normalisations before MobileNet-V2's activations
UNET_CHANNELS = (32, 64, 128, 256, 512)
UNET_CLASSES = 2


class Logits(nn.Module):
    """A classifier with a tensor in and a tensor out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Images, shape (batch, 3, height, width), to logits, shape (batch, classes)."""
        return cast("Tensor", self.model(pixel_values).logits)


def resnet50() -> nn.Module:
    """ResNet-50 (`ResNetConfig` defaults), 1000 classes, 224x224."""
    model = ResNetForImageClassification(ResNetConfig(num_labels=1000))
    branches = [m for m in model.modules() if isinstance(m, ResNetBottleNeckLayer)]
    calm(branch.layer[-1].normalization for branch in branches)
    return with_statistics(Logits(model), inputs="resnet50")


def mobilenet_v2() -> nn.Module:
    """MobileNet-V2, width 1.0 (`MobileNetV2Config` defaults), 1000 classes, 224x224."""
    model = MobileNetV2ForImageClassification(MobileNetV2Config(num_labels=1000))
    for layer in model.modules():
        if isinstance(layer, MobileNetV2ConvLayer) and layer.activation is not None:
            nn.init.constant_(layer.normalization.bias, ACTIVATION_SHIFT)
    branches = [m for m in model.modules() if isinstance(m, MobileNetV2InvertedResidual)]
    calm(b.reduce_1x1.normalization for b in branches if b.use_residual)
    return with_statistics(Logits(model), inputs="mobilenet-v2")


def vit_s() -> nn.Module:
    """ViT-S/16: width 384, 12 layers, 6 heads (Touvron et al. 2021, DeiT-S), 1000 classes."""
    config = ViTConfig(
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=6,
        intermediate_size=1536,
        num_labels=1000,
    )
    return Logits(ViTForImageClassification(config)).eval()


class TwoConvolutions(nn.Sequential):
    """Convolution, batch normalisation and ReLU, twice; the size stays."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
        )


class UNet(nn.Module):
    """Four halvings, four doublings, and the features of each size handed across."""

    def __init__(self) -> None:
        super().__init__()
        sizes = list(itertools.pairwise(UNET_CHANNELS))
        self.first = TwoConvolutions(3, UNET_CHANNELS[0])
        self.down = nn.ModuleList(TwoConvolutions(few, many) for few, many in sizes)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(many, few, 2, stride=2) for few, many in reversed(sizes)
        )
        self.join = nn.ModuleList(TwoConvolutions(2 * few, few) for few, _ in reversed(sizes))
        self.last = nn.Conv2d(UNET_CHANNELS[0], UNET_CLASSES, 1)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Images, shape (batch, 3, height, width), to logits of every pixel."""
        features = [self.first(pixel_values)]
        for down in self.down:
            features.append(down(nn.functional.max_pool2d(features[-1], 2)))
        found = features.pop()
        for up, join in zip(self.up, self.join, strict=True):
            found = join(torch.cat([features.pop(), up(found)], dim=1))
        return cast("Tensor", self.last(found))


def unet() -> nn.Module:
    """A U-Net of 7.8 million parameters for 128x128 images, two classes per pixel."""
    return with_statistics(UNet(), inputs="unet")


def calm(normalizations: Iterable[nn.Module]) -> None:
    """Start residual branches near zero."""
    for normalization in normalizations:
        nn.init.constant_(cast("Tensor", normalization.weight), BRANCH_SCALE)


def with_statistics(model: nn.Module, *, inputs: str) -> nn.Module:
    """The same model, its batch normalisation fitted to the inputs it will meet."""
    random = np.random.default_rng(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # plain average over the batches seen
            module.reset_running_stats()
    model.train()
    with torch.no_grad():
        for _ in range(STATISTICS_BATCHES):
            (images,) = INPUTS[inputs](STATISTICS_BATCH, random).values()
            model(torch.from_numpy(images))
    return model.eval()

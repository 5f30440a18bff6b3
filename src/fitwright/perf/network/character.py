"""What a network is like, as far as its name and its totals tell.

Networks of one family share how much they write per multiply-add and how well their kernels
fill a device; what is left varies smoothly with their size.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from fitwright.records.workload import Style, Workload

_RECIPE = re.compile(r"^(tf|gluon|ssl|swsl|tv|legacy|ig|dm|timm)_")
_TWO_WORDS = frozenset({"nf", "eca", "ese", "tiny", "wide", "gc", "test"})
_BASIC_BLOCKS = re.compile(r"resnet[a-z]*(10|14|18|34)t?d?$")
_VIT_KIND = re.compile(
    r"siglip|so150|so400|dinov3|dinov2|rope|relpos|reg|mci|wee|little|betwixt|medium|gap"
)
_STYLES: tuple[tuple[Style, re.Pattern[str]], ...] = (
    ("detector", re.compile(r"yolo|ssd|rcnn|retina|detr|efficientdet|centernet|nanodet")),
    ("recurrent", re.compile(r"lstm|gru|rnn|deepspeech")),
    (
        "window",
        re.compile(
            r"swin|maxvit|maxxvit|coat|twins|pvt|mvit|nest$|davit|gcvit|gc_vit|focalnet|levit|"
            r"mobilevit|nextvit|efficientformer|halo|botnet|lambda|bat$|caformer|xcit|sequencer|"
            r"cait|crossvit|hiera|tiny_vit|vitamin|segformer|unet2d|diffusion"
        ),
    ),
    (
        "depthwise",
        re.compile(
            r"mobile|efficient|mnasnet|lcnet|tinynet|ghost|hardcore|fbnet|mixnet|rexnet|spnas|"
            r"convnext|convmixer|xception|edgenext|fastvit|mambaout|starnet|nasnet|repvit|"
            r"convformer|poolformer|shvit|shufflenet|swiftformer|csatv|rdnet|inception_next"
        ),
    ),
    (
        "vit",
        re.compile(
            r"vit|deit|beit|eva|^pit|tnt|volo|mixer|mlp|aimv|sam|bert|gpt|clip|dino|visformer"
        ),
    ),
    (
        "dense",
        re.compile(r"dense|inception|googlenet|hrnet|dla|res2|selecsls|hardnet|vovnet|hgnet"),
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """Where a network lies among others, each the natural logarithm of a ratio.

    Attributes:
        macs: to 4 thousand million multiply-adds a sample.
        parameters: to 25 million.
        side: to 224 pixels.
    """

    macs: float
    parameters: float
    side: float


def size_of(workload: Workload) -> Size:
    """Size relative to a ResNet-50, about."""
    return Size(
        macs=math.log(workload.macs / 4e9),
        parameters=math.log(workload.parameters / 25e6),
        side=math.log(workload.side / 224) if workload.side else 0.0,
    )


def family_of(name: str) -> str:
    """``tf_efficientnetv2_b0.in1k`` -> ``efficientnetv2``: what its members have in common.

    A few families are split where one name covers different builds: residual networks of basic
    blocks and of bottlenecks, the several nets called EfficientViT, vision transformers by the
    recipe that changes their tokens.
    """
    bare = _RECIPE.sub("", name.lower().rsplit("/", 1)[-1].split(".", 1)[0]).replace("-", "_")
    words = bare.split("_")
    first, second = words[0], words[1] if len(words) > 1 else ""
    if first in _TWO_WORDS and second:
        return _without_number(f"{first}_{second}")
    if first == "efficientnet" and second[:1] == "e":
        return "efficientnet_e"
    if first == "efficientnet" and second[:4] in ("lite", "cc"):
        return f"efficientnet_{second[:4]}"
    if first in ("mobilenetv4", "efficientvit") and second:
        return f"{first}_{second if first == 'mobilenetv4' else second[0]}"
    if first == "vit" and (kind := _VIT_KIND.search(bare)):
        return f"vit_{kind.group()}"
    if first in ("maxvit", "coatnet", "maxxvit", "maxxvitv2"):
        return first + ("_rmlp" if "rmlp" in words else "") + ("_rw" if "rw" in words else "")
    if first == "levit" and "conv" in words:
        return "levit_conv"
    if re.search(r"\d+ts$", first):
        return re.sub(r"\d+ts$", "", first) + "_ts"
    if _BASIC_BLOCKS.search(first):
        return re.sub(r"\d+t?d?$", "", first) + "_basic"
    return _without_number(first)


def _without_number(word: str) -> str:
    """``resnext101`` -> ``resnext``; a version (``swinv2``) is part of the family."""
    if re.search(r"v\d$", word):
        return word
    return re.sub(r"(?<=[a-z])\d+[a-z]{0,3}\d?$", "", word)


def style_of(name: str) -> Style:
    """By the words of the name; what has none of them is taken for plain convolutions."""
    words = name.lower().replace("-", "_")
    return next((style for style, pattern in _STYLES if pattern.search(words)), "plain")


def backbone_style(workload: Workload) -> Style:
    """What most of a detector's work is done by; every other network keeps its style."""
    if workload.style != "detector":
        return workload.style
    name = workload.name.lower()
    if re.search(r"mobile|efficientdet|lite|nanodet|retinaface", name):
        return "depthwise"
    return "plain" if re.search(r"ssd|rcnn|retinanet|openpose|centernet", name) else "detector"


def is_smooth(name: str) -> bool:
    """Whether most layers end in SiLU or its like, which int8 kernels do not take in."""
    return bool(re.search(r"efficientnet|efficientdet|yolov[4-9]|yolov?1\d|yolox", name.lower()))


def proposes(name: str) -> bool:
    """Whether boxes found by a first stage are sorted out on one core before a second."""
    return "rcnn" in name.lower()


def weighed(constants: Mapping[str, float], prefix: str, size: Size) -> float:
    """``prefix`` + its slopes times the size: a straight line in the logarithms."""
    return (
        constants.get(prefix, 0.0)
        + constants.get(f"{prefix}.macs", 0.0) * size.macs
        + constants.get(f"{prefix}.parameters", 0.0) * size.parameters
        + constants.get(f"{prefix}.side", 0.0) * size.side
    )


def activations(workload: Workload, facts: Mapping[str, float]) -> float:
    """Numbers that convolutions and products write for one sample.

    As published where the workload says so; otherwise from its family: the logarithm of
    activations per multiply-add is a straight line in the logarithms of multiply-adds,
    parameters and side (``facts``: the line of all families and what each adds).
    """
    if workload.activations is not None:
        return workload.activations
    size = size_of(workload)
    line = weighed(facts, "all", size) + weighed(facts, family_of(workload.name), size)
    return workload.macs * math.exp(line)


def guessed_macs(name: str, *, parameters: float, side: float, facts: Mapping[str, float]) -> float:
    """Multiply-adds of one sample of a network that states only its parameters.

    The logarithm of multiply-adds per parameter is a straight line in the logarithms of
    parameters and side, for all families and what each adds; 1 for products alone, a few
    hundred for convolutions and vision transformers.
    """
    size = Size(macs=0.0, parameters=math.log(parameters / 25e6), side=math.log(side / 224))
    return parameters * math.exp(
        weighed(facts, "all", size) + weighed(facts, family_of(name), size)
    )

"""Which models and devices a pass suits, from the records alone; imports nothing heavy."""

from __future__ import annotations

from fitwright.records.device import Device
from fitwright.records.model import CONVOLUTIONS, MATRICES, ModelSummary

ATTENTIVE = frozenset({"LayerNormalization", "Attention", "MultiHeadAttention", "Softmax"})

# What stands for int8 or int4 arithmetic in a model that somebody quantised before.
_QUANTISED = frozenset(
    {"QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "QGemm"}
    | {"ConvInteger", "MatMulInteger", "MatMulNBits", "QAttention", "DynamicQuantizeLSTM"}
)

# Weights reach an operator through these until constants are folded.
_PASSING = frozenset(
    {"Transpose", "Reshape", "Cast", "Identity", "DequantizeLinear"}
    | {"Slice", "Split", "Concat", "Squeeze", "Unsqueeze"}  # of a recurrent network's gates
)
_SMALLEST_SHARE = 0.10  # of the weight bytes; below it a variant gains too little to be timed
# A protobuf holds at most 2 GiB; ONNX Runtime's quantisers build the whole model in one.
_LARGEST_PROTOBUF_BYTES = 1_800_000_000


def kinds(summary: ModelSummary) -> frozenset[str]:
    """Which operator kinds the model holds."""
    return frozenset(operator.kind for operator in summary.operators)


def lacks(summary: ModelSummary, wanted: frozenset[str]) -> str | None:
    """The refusal of a model that has none of these operators, or None."""
    if kinds(summary) & wanted:
        return None
    return f"the model has none of {', '.join(sorted(wanted))}"


def lacks_weights(summary: ModelSummary, wanted: frozenset[str]) -> str | None:
    """The refusal of a model whose weights belong elsewhere, or None."""
    if why := lacks(summary, wanted):
        return why
    total = _weight_bytes(summary, kinds(summary))
    theirs = _weight_bytes(summary, wanted | _PASSING)
    if total and theirs / total >= _SMALLEST_SHARE:
        return None
    share = theirs / total if total else 0.0
    return f"only {share:.1%} of the weights belong to {', '.join(sorted(wanted))}"


def quantised(summary: ModelSummary) -> str | None:
    """The refusal of a model that came quantised, or None: twice loses twice and gains nothing."""
    found = sorted(kinds(summary) & _QUANTISED)
    return f"the model is quantised already (it holds {', '.join(found)})" if found else None


def convolutions_lead(summary: ModelSummary) -> bool:
    """Whether convolutions hold more weight bytes than matrices."""
    return _weight_bytes(summary, CONVOLUTIONS) > _weight_bytes(summary, MATRICES)


def _weight_bytes(summary: ModelSummary, wanted: frozenset[str]) -> int:
    return sum(o.weight_bytes for o in summary.operators if o.kind in wanted)


def is_transformer(summary: ModelSummary) -> bool:
    """Attention-like operators, and matrices hold more weights than convolutions do (a vision
    transformer cuts its image by one): quantised by NNCF's transformer scheme."""
    return bool(kinds(summary) & ATTENTIVE) and not convolutions_lead(summary)


def too_large(summary: ModelSummary) -> str | None:
    """Why a pass that builds one protobuf cannot take the model, or None."""
    if summary.size_bytes <= _LARGEST_PROTOBUF_BYTES:
        return None
    return (
        f"the model has {summary.size_bytes / 1e9:.1f} GB and this pass reads up to "
        f"{_LARGEST_PROTOBUF_BYTES / 1e9:.1f} GB"
    )


def has_int8_dot(device: Device | None) -> bool:
    """Whether the CPU multiplies unsigned by signed int8 without saturating in 16 bits.

    x86 without VNNI adds pairs of products in 16 bits (``vpmaddubsw``), which overflows
    with 8-bit weights; there weights are kept to 7 bits. Arm has no such step.
    """
    if device is None:
        return False
    sets = {name.lower() for name in device.instruction_sets}
    return is_arm(device) or bool(sets & {"avx512_vnni", "avx_vnni", "amx_int8"})


def is_arm(device: Device | None) -> bool:
    """Whether the device is an Arm CPU, whose kernels take signed activations."""
    return device is not None and device.architecture.lower() in ("aarch64", "arm64")

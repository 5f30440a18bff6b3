"""Tokens a second of one sequence under OpenVINO.

    t = blocks * block * (cores / 16)^0.6 + (weights + cache) / (bandwidth * share)

`block` is what each block costs beside reading its weights: its kernels start one after the
other, and the cores of a CPU wait for each other after each. GPUs do not have the factor of cores.
"""

from __future__ import annotations

from fitwright.catalog.transformers import find_transformer
from fitwright.perf.ladder import estimate, nearest
from fitwright.perf.network.time import USUAL_UNITS
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.sheet import Sheet
from fitwright.records.transformer import Transformer
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains import inputs as read

BYTES_PER_WEIGHT = {"int4": 0.57, "int8": 1.02, "float16": 2.0, "bfloat16": 2.0, "float32": 4.0}
"""Scales of groups of 64 to 128 weights included; embeddings are not read whole."""
USUAL_CONTEXT = 1024
"""Tokens in the cache where nobody says; OpenVINO's own prompts have as many."""
WAITING = 0.6


def predict_decode(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Tokens a second: every weight is read for each token."""
    sheet, name = knowledge.sheet, read.text(case.inputs, "model")
    shape = find_transformer(name)
    if shape is None:
        return NoData(reason=f"the catalogue does not know the shape of {name!r}")
    found = nearest(knowledge.evidence, sheet, what="network/decode/openvino")
    if found is None or sheet.bandwidth_bytes_per_s is None:
        return NoData(reason=f"nobody measured OpenVINO's decoding on a {sheet.kind}")
    label = read.dtype(case.inputs, "dtype", "precision") or "int4"
    token_s = bytes_read(shape, label) / (
        sheet.bandwidth_bytes_per_s.value * found.constants["share"]
    )
    token_s += shape.num_layers * waiting(sheet) * found.constants["block_s"]
    return estimate(
        1 / token_s,
        unit="1/s",
        rung=found.rung,
        spread=found.spread,
        reasons=(f"fitted to {found.source}",),
    )


def waiting(sheet: Sheet) -> float:
    """How much longer than 16 cores these wait for each other."""
    if sheet.kind != "cpu" or sheet.num_units is None:
        return 1.0
    return float((sheet.num_units.value / USUAL_UNITS) ** WAITING)


def bytes_read(shape: Transformer, label: str) -> float:
    """For one token: all weights but the table of input embeddings, keys and values in 16 bits."""
    table = 0 if shape.tied else shape.vocab * shape.hidden
    weights = (shape.parameters - table) * BYTES_PER_WEIGHT.get(label, 2.0)
    cached = 4 * shape.num_kv_heads * shape.head_size * shape.num_layers * USUAL_CONTEXT
    return weights + cached

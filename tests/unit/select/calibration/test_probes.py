"""The work that a probe states is the work that the model of its chain has."""

from __future__ import annotations

from collections import Counter

import pytest

from fitwright.graph.chains import POOL, chained, write_pool
from fitwright.graph.summary import summarize
from fitwright.perf.kernels import kernels, work_of
from fitwright.select.calibration.probes import Probe, probes, stored

SMALL = {
    "gemm": (8, 256),
    "conv": (1, 96, 14, 14),
    "depthwise": (1, 960, 7, 7),
    "conv_transpose": (1, 128, 32, 32),
    "products": (4, 64, 32),
    "recurrent": (32, 1, 128),
    "softmax": (4, 64, 64),
    "elementwise": (4, 64, 64),
    "norm": (16, 256),
    "transcendental": (16, 256),
    "move": (1, 16, 8, 32),
    "pool": (1, 512, 14, 14),
    "quantise": (16, 256),
    "skip_norm": (16, 256),
    "where": (4, 64, 64),
}


def one_of(family: str, dtype: str) -> Probe:
    return next(p for p in probes(dtype) if p.family == family and p.inputs["x"] == SMALL[family])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("chains")
    write_pool(made)
    return made


def added(probe: Probe, dtype: str, folder) -> list:
    """Kernels of three layers that a single layer does not have: those of two layers."""
    found: list[Counter] = []
    for times in (1, 3):
        file = folder / f"{times}.onnx"
        file.write_bytes(
            chained(
                probe.layer, times=times, stored=stored(dtype), inputs=probe.inputs
            ).SerializeToString()
        )
        works = [
            (k.family, work_of(k, dtype=dtype, beside=dtype, batch=1, model_bytes=0.0))
            for k in kernels(summarize(file, shapes={}, batch=1), "onnxruntime")
        ]
        found.append(
            Counter(
                (f, w.dtype, w.flops, w.bytes_moved, w.m, w.n, w.k, w.num_steps) for f, w in works
            )
        )
    return sorted((found[1] - found[0]).elements())


@pytest.mark.parametrize("family", sorted(SMALL))
def test_a_layer_is_the_work_that_its_probe_states(family, folder) -> None:
    probe = one_of(family, "float32")
    stated = sorted(
        (f, w.dtype, w.flops, w.bytes_moved, w.m, w.n, w.k, w.num_steps) for f, w in 2 * probe.works
    )
    assert added(probe, "float32", folder) == stated


@pytest.mark.parametrize("family", ["gemm", "conv", "depthwise", "products"])
def test_a_layer_of_integers_is_the_work_that_its_probe_states(family, folder) -> None:
    probe = one_of(family, "int8")
    stated = sorted(
        (f, w.dtype, w.flops, w.bytes_moved, w.m, w.n, w.k, w.num_steps) for f, w in 2 * probe.works
    )
    assert added(probe, "int8", folder) == stated


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_some_forty_products_are_measured_and_every_chain_has_a_slope(dtype) -> None:
    found = probes(dtype)
    assert 35 <= sum(p.family == "gemm" for p in found) <= 45
    assert all(p.num_layers >= 2 for p in found)


def test_weights_of_all_chains_are_regions_of_one_file(folder) -> None:
    probe = one_of("gemm", "float32")
    model = chained(probe.layer, times=2, stored="float32", inputs=probe.inputs)
    places = {
        entry.value for t in model.graph.initializer for entry in t.external_data
        if entry.key == "location"
    }  # fmt: skip
    assert places == {POOL}

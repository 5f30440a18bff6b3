"""The sweep of layouts: agrees with one layout at a time, and finds what Megatron's authors did."""

from __future__ import annotations

import time

import numpy as np
import pytest

from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import find_sheet
from fitwright.catalog.transformers import find_transformer
from fitwright.perf.training.answer import Footing, footing
from fitwright.perf.training.layout import Layout, Shape, shape_of
from fitwright.perf.training.memory import peak_bytes
from fitwright.perf.training.step import step_time
from fitwright.perf.training.sweep import Swept, sweep

DEVICES = BATCH = 3072
A100_BYTES = 80e9


@pytest.fixture(scope="module")
def shape() -> Shape:
    model = find_transformer("Megatron-1T")
    assert model is not None
    return shape_of(model, seq_len=2048, dropout=True)


@pytest.fixture(scope="module")
def found() -> Footing:
    table = (*evidence("training"), *evidence("collectives"))
    sheet = find_sheet("a100-80-sxm")
    answer = footing(sheet, table, software="megatron-2022", dtype="float16", layout=Layout())
    assert isinstance(answer, Footing)
    return answer


@pytest.fixture(scope="module")
def swept(shape: Shape, found: Footing) -> Swept:
    return sweep(shape, found, devices=DEVICES, global_batch=BATCH)


def test_a_trillion_parameters_on_3072_devices_are_swept_in_far_under_20_s(
    shape: Shape, found: Footing
) -> None:
    start = time.process_time()
    count = len(sweep(shape, found, devices=DEVICES, global_batch=BATCH))
    assert count > 10_000
    assert time.process_time() - start < 5  # takes about 0.1 s; the limit is 20 s on one core


def test_the_arrays_agree_with_one_layout_at_a_time(
    swept: Swept, shape: Shape, found: Footing
) -> None:
    for i in np.random.default_rng(0).choice(len(swept), 50, replace=False):
        priced = swept.at(int(i))
        alone = step_time(shape, priced.layout, found.efficiency, found.machine)
        # the same operations on numbers as on arrays: equal up to the order of sums
        assert priced.step_s == pytest.approx(float(alone.total_s), rel=1e-9)
        memory = float(peak_bytes(shape, priced.layout, embedding_copies=1.0))
        assert priced.peak_bytes == pytest.approx(memory, rel=1e-9)


def test_every_layout_uses_all_devices_and_the_whole_batch(swept: Swept) -> None:
    c = swept.columns
    assert np.all(c["tp"] * c["pp"] * c["dp"] == DEVICES)
    assert np.all(c["dp"] * c["micro_batch"] * c["micro_batches"] == BATCH)
    assert np.all(128 % (c["pp"] * c["interleave"]) == 0)


def test_megatrons_published_layout_is_legal_and_near_the_best_of_its_kind(swept: Swept) -> None:
    recompute_all = [
        i for i, m in enumerate(swept.modes) if m[0] == "full" and not m[1] and m[2] == 0
    ]
    kind = np.isin(swept.mode, recompute_all) & (swept.peak_bytes <= A100_BYTES)
    c = swept.columns
    published = kind & (c["tp"] == 8) & (c["pp"] == 64) & (c["dp"] == 6) & (c["micro_batch"] == 1)
    assert published.any()
    # the best way of 2021 (all recomputed, no sequence parallelism, no ZeRO) gains under 10 % on it
    assert swept.step_s[published].min() < 1.1 * swept.step_s[kind].min()


def test_the_best_fit_in_memory_and_come_fastest_first(swept: Swept) -> None:
    best = swept.best(20, memory_bytes=A100_BYTES)
    times = [p.step_s for p in best]
    assert len(best) == 20 and times == sorted(times)
    assert all(p.peak_bytes <= A100_BYTES for p in best)
    assert best[0].layout.recompute == "selective" and best[0].layout.sequence_parallel


def test_nothing_fits_where_there_is_no_memory(swept: Swept) -> None:
    assert swept.best(5, memory_bytes=1e9) == ()


def test_the_front_holds_what_none_beats_in_time_and_memory(swept: Swept) -> None:
    front = swept.front()
    times, sizes = [p.step_s for p in front], [p.peak_bytes for p in front]
    assert times == sorted(times) and sizes == sorted(sizes, reverse=True)
    assert times[0] == swept.step_s.min() and sizes[-1] == swept.peak_bytes.min()

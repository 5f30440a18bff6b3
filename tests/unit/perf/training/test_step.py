"""A training step: never under the floor, never slower with a better machine, additive."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.perf.collective import Network, Pace
from fitwright.perf.training.flops import megatron_flop, model_flop
from fitwright.perf.training.layout import Layout, Shape
from fitwright.perf.training.step import (
    Efficiency,
    Machine,
    StepTime,
    block_s,
    data_s,
    send_s,
    step_time,
)

SHAPE = Shape(
    hidden=2048,
    layers=32,
    heads=16,
    kv_heads=16,
    head_size=128,
    ffn=8192,
    ffn_matrices=2,
    vocab=51200,
    seq_len=2048,
)
EFF = Efficiency(
    share=0.7,
    size=128,
    attention_share=0.3,
    traffic=1.5,
    block_s=1e-4,
    step_s=0.01,
    alone_s=0.01,
    overlap=0.8,
    contention=0.5,
    selective=0.3,
)
PACE = Pace(bytes_per_s=300e9, shares=(0.7, 0.75, 0.8), start_s=1e-5, start_per_rank_s=2e-6)
MACHINE = Machine(
    flop_per_s=312e12,
    wide_flop_per_s=312e12,
    bytes_per_s=2e12,
    paces=dict.fromkeys(("all_reduce", "all_gather", "reduce_scatter", "send"), PACE),
    network=Network(bytes_per_s=25e9, share=0.9, start_s=2e-5, hop_s=5e-6),
)
layouts = st.builds(
    Layout,
    tp=st.sampled_from([1, 2, 4, 8]),
    pp=st.sampled_from([1, 2, 4, 8]),
    dp=st.sampled_from([1, 2, 16, 64]),
    cp=st.sampled_from([1, 2]),
    interleave=st.sampled_from([1, 2]),
    micro_batch=st.integers(1, 4),
    micro_batches=st.sampled_from([1, 8, 64]),
    recompute=st.sampled_from(["none", "selective", "full"]),
    attention=st.sampled_from(["fused", "scores"]),
    sequence_parallel=st.booleans(),
    zero=st.sampled_from([0, 1, 3]),
    fsdp=st.booleans(),
)


def total(shape: Shape, layout: Layout, machine: Machine = MACHINE) -> float:
    return float(step_time(shape, layout, EFF, machine).total_s)


@given(layouts)
def test_a_step_is_never_under_its_flop_at_the_peak(layout: Layout) -> None:
    causal = replace(SHAPE, causal=True)
    dense = replace(causal, seq_len=1)  # the products alone: scores may be skipped by the mask
    products = float(model_flop(dense)) * 2048 * float(layout.global_batch())
    assert total(SHAPE, layout) >= 0.98 * products / (float(layout.devices) * 312e12)


@given(layouts, st.floats(1, 8))
def test_more_bandwidth_is_never_slower(layout: Layout, more: float) -> None:
    pace = replace(PACE, bytes_per_s=PACE.bytes_per_s * more)
    faster = replace(
        MACHINE, bytes_per_s=MACHINE.bytes_per_s * more, paces=dict.fromkeys(MACHINE.paces, pace)
    )
    assert total(SHAPE, layout, faster) <= total(SHAPE, layout) * (1 + 1e-12)


@given(layouts, st.floats(1, 8))
def test_a_higher_peak_is_never_slower(layout: Layout, more: float) -> None:
    # without overlap: hidden transfers need compute to hide beneath, never more than it saves
    faster = replace(
        MACHINE,
        flop_per_s=MACHINE.flop_per_s * more,
        wide_flop_per_s=MACHINE.wide_flop_per_s * more,
    )
    assert total(SHAPE, layout, faster) <= total(SHAPE, layout) * (1 + 1e-12)


def test_blocks_add_up() -> None:
    def compute(layers: int) -> float:
        time = step_time(replace(SHAPE, layers=layers), Layout(micro_batch=2), EFF, MACHINE)
        return float(time.compute_s)

    # exact up to rounding: compute is linear in the number of blocks
    assert compute(32) - compute(16) == pytest.approx(compute(48) - compute(32), rel=1e-9)


def test_more_micro_batches_shrink_the_share_of_the_bubble() -> None:
    def share(count: int) -> float:
        time = step_time(SHAPE, Layout(pp=8, micro_batches=count), EFF, MACHINE)
        return float(time.bubble_s / time.total_s)

    assert share(8) > share(16) > share(64)


def test_interleaving_divides_the_bubble() -> None:
    one = step_time(SHAPE, Layout(pp=8, micro_batches=8), EFF, MACHINE)
    two = step_time(SHAPE, Layout(pp=8, micro_batches=8, interleave=2), EFF, MACHINE)
    # exact: (p - 1) / (m * v)
    assert two.bubble_s == one.bubble_s / 2


def test_full_recomputation_takes_a_third_more_products() -> None:
    none = step_time(SHAPE, Layout(micro_batch=4), EFF, MACHINE)
    full = step_time(SHAPE, Layout(micro_batch=4, recompute="full"), EFF, MACHINE)
    # 4/3 on the blocks; the logits are not recomputed, fused attention gains 4.5/3.5
    assert 1.2 < full.compute_s / none.compute_s < 4 / 3


def test_tensor_parallel_ranks_of_two_nodes_pay_the_network() -> None:
    inside = step_time(SHAPE, Layout(tp=8), EFF, MACHINE)
    apart = step_time(SHAPE, Layout(tp=16), EFF, MACHINE)
    assert apart.tensor_s > 1.3 * inside.tensor_s


def test_gathers_hide_beneath_enough_compute() -> None:
    sharded = Layout(dp=8, zero=3, fsdp=True)
    slow = replace(MACHINE, paces=dict.fromkeys(MACHINE.paces, replace(PACE, bytes_per_s=20e9)))
    small = step_time(SHAPE, sharded, EFF, slow)
    large = step_time(SHAPE, replace(sharded, micro_batch=16), EFF, slow)
    assert large.data_s < small.data_s
    assert large.data_s > 0  # what hides still takes memory bandwidth from the compute


def test_arrays_of_layouts_answer_as_each_alone() -> None:
    many = step_time(
        SHAPE, Layout(tp=np.array([1, 2, 8]), pp=np.array([4, 2, 1]), micro_batches=8), EFF, MACHINE
    )
    for i, (tp, pp) in enumerate([(1, 4), (2, 2), (8, 1)]):
        alone = step_time(SHAPE, Layout(tp=tp, pp=pp, micro_batches=8), EFF, MACHINE)
        assert float(many.total_s[i]) == pytest.approx(float(alone.total_s), rel=1e-12)


def test_the_parts_add_up_to_the_whole() -> None:
    time = step_time(SHAPE, Layout(tp=2, pp=2, dp=2, micro_batches=4), EFF, MACHINE)
    parts = [getattr(time, name) for name in StepTime.__dataclass_fields__]
    assert float(time.total_s) == pytest.approx(sum(float(p) for p in parts), rel=1e-12)


def test_megatrons_count_includes_one_recomputation_of_the_blocks() -> None:
    blocks = float(megatron_flop(SHAPE)) - 6 * 2048 * 51200 * 2048
    plain = float(model_flop(SHAPE)) - 6 * 2048 * 51200 * 2048
    # exact: 96 of 72 for the blocks, logits alike
    assert blocks / plain == pytest.approx(96 / 72, rel=1e-12)


def test_whole_sends_take_longer_than_shares_of_an_activation() -> None:
    layout = Layout(tp=8, pp=4, micro_batch=2, micro_batches=8)
    share = send_s(SHAPE, layout, MACHINE)
    whole = send_s(SHAPE, replace(layout, whole_sends=True), MACHINE)
    # eight times the bytes; below that by the start of a transfer
    assert 4 * share < whole <= 8 * share


def test_gradient_sums_hide_only_where_tensors_are_not_split() -> None:
    eff = replace(EFF, overlap=1.0, contention=0.0)
    alone = data_s(SHAPE, Layout(dp=16), eff, MACHINE, compute=1e3)
    beside = data_s(SHAPE, Layout(dp=16, tp=2), eff, MACHINE, compute=1e3)
    assert alone == 0
    assert beside > 0


def test_casts_to_float8_weigh_more_where_products_are_split() -> None:
    narrow = replace(EFF, cast_bytes=5.0)

    def slower(tp: int) -> float:
        layout = Layout(tp=tp, micro_batch=4, float8="tensorwise")
        cast = block_s(SHAPE, layout, narrow, MACHINE)
        return float(cast / block_s(SHAPE, layout, EFF, MACHINE))

    assert 1 < slower(1) < slower(8)


def test_frozen_weights_skip_one_of_three_products() -> None:
    # without traffic and scores a step of adapters alone is two thirds of a whole one
    bare = replace(EFF, traffic=0.0, attention_share=1e9)
    whole = block_s(SHAPE, Layout(), bare, MACHINE)
    adapted = block_s(SHAPE, Layout(adapter_rank=8), bare, MACHINE)
    assert adapted / whole == pytest.approx(2 / 3, rel=1e-6)


def test_one_device_waits_for_no_other() -> None:
    eff = replace(EFF, step_s=0.05, alone_s=0.005)
    one = step_time(SHAPE, Layout(), eff, MACHINE).overhead_s
    two = step_time(SHAPE, Layout(dp=2), eff, MACHINE).overhead_s
    assert two - one == pytest.approx(0.045)

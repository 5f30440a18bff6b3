"""Memory of training: Korthikanti et al.'s figures, and what more devices save."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.perf.training.layout import Layout, Recompute, Shape
from fitwright.perf.training.memory import (
    activation_bytes,
    block_activation_bytes,
    boundary_bytes,
    kept_bytes,
    peak_bytes,
    state_bytes,
    working_bytes,
    written_bytes,
)

GIB = 2**30


def gpt(hidden: int, layers: int, heads: int) -> Shape:
    return Shape(
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_size=hidden / heads,
        ffn=4 * hidden,
        ffn_matrices=2,
        vocab=51200,
        seq_len=2048,
        dropout=True,
    )


B22, B175 = gpt(6144, 48, 64), gpt(12288, 96, 96)
B530, T1 = gpt(20480, 105, 128), gpt(25600, 128, 160)


@pytest.mark.parametrize(
    ("shape", "pp", "interleave", "micro", "recompute", "activations", "states"),
    [
        (B22, 1, 1, 4, "selective", 9.5625, 45.5625),
        (B175, 8, 3, 1, "selective", 12.3515625, 45.5625),
        (B530, 35, 3, 1, "none", 114.0234375, 31.640625),
        (T1, 64, 1, 1, "none", 131.25, 32.958984375),
        (T1, 64, 1, 1, "selective", 26.5625, 32.958984375),
    ],
)
def test_the_bars_of_korthikantis_first_figure(
    shape: Shape,
    pp: int,
    interleave: int,
    micro: int,
    recompute: Recompute,
    activations: float,
    states: float,
) -> None:
    layout = Layout(
        tp=8,
        pp=pp,
        interleave=interleave,
        micro_batch=micro,
        micro_batches=4 * pp,
        recompute=recompute,
        attention="scores",
        sequence_parallel=recompute == "selective",
    )
    # the figure was drawn from the same formulas: equal to the last digit
    assert activation_bytes(shape, layout) / GIB == pytest.approx(activations, rel=1e-9)
    assert state_bytes(shape, layout) / GIB == pytest.approx(states, rel=1e-9)


@pytest.mark.parametrize(
    ("recompute", "sequence", "percent"),
    [
        ("none", True, 66.84),
        ("selective", False, 49.42),
        ("selective", True, 16.18),
        ("full", False, 7.64),
    ],
)
def test_the_shares_of_korthikantis_seventh_figure(
    recompute: Recompute, sequence: bool, percent: float
) -> None:
    plain = Layout(tp=8, attention="scores")
    layout = replace(plain, recompute=recompute, sequence_parallel=sequence)
    share = block_activation_bytes(B22, layout) / block_activation_bytes(B22, plain)
    assert 100 * share == pytest.approx(percent, rel=0.05)  # read off a printed chart


ways = st.sampled_from([1, 2, 4, 8])


@given(ways, ways, st.sampled_from([1, 2, 16]), st.sampled_from(["none", "selective", "full"]))
def test_memory_falls_with_every_way_of_splitting(
    tp: int, pp: int, dp: int, recompute: Recompute
) -> None:
    def peak(**ways_: int) -> float:
        layout = Layout(recompute=recompute, micro_batches=16, zero=3, **ways_)
        return float(peak_bytes(B22, layout))

    here = peak(tp=tp, pp=pp, dp=dp)
    assert peak(tp=2 * tp, pp=pp, dp=dp) < here
    assert peak(tp=tp, pp=2 * pp, dp=dp) < here
    assert peak(tp=tp, pp=pp, dp=2 * dp) < here


def test_each_stage_of_zero_holds_less() -> None:
    held = [float(state_bytes(B22, Layout(dp=16, zero=z))) for z in (0, 1, 2, 3)]
    assert held == sorted(held, reverse=True) and held[3] == pytest.approx(held[0] / 16)


def test_hybrid_sharding_holds_what_its_shard_does() -> None:
    hybrid = Layout(dp=64, shard=8, zero=3)
    assert state_bytes(B22, hybrid) == state_bytes(B22, Layout(dp=8, zero=3))


def test_a_compiler_keeps_the_written_less_one_inner_activation() -> None:
    shape = gpt(4096, 32, 32)
    layout = Layout(micro_batch=2, compiled=True)
    # exact: tokens times bytes times inner width
    left_out = 2 * shape.seq_len * 2 * shape.ffn
    assert kept_bytes(shape, layout) == written_bytes(shape, layout) - left_out


def test_sequence_parallelism_gathers_four_activations_in_the_block_at_work() -> None:
    shape = gpt(4096, 32, 32)
    layout = Layout(tp=8, sequence_parallel=True)
    # exact: seven eighths of each come from other ranks
    assert working_bytes(shape, layout) == 4 * shape.seq_len * 2 * shape.hidden * 7 / 8


def test_only_a_pipeline_keeps_what_crosses_its_boundaries() -> None:
    shape = gpt(4096, 32, 32)
    assert boundary_bytes(shape, Layout(micro_batches=8), copies=2) == 0
    # exact: copies times micro batches times one activation
    kept = boundary_bytes(shape, Layout(pp=4, micro_batches=8), copies=2)
    assert kept == 2 * 8 * shape.seq_len * 2 * shape.hidden

"""Dense networks on FPGAs: the tool's own rules for cycles, and areas that add up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import load_sheets
from fitwright.perf.boards import fpga
from fitwright.perf.boards.fpga import Dense
from fitwright.records.estimate import Estimate, NoData

TABLE = evidence("fpga")
U250 = load_sheets()["alveo-u250"]
widths = st.lists(st.integers(1, 256), min_size=2, max_size=5).map(tuple)


def dense(
    shape: tuple[int, ...], *, reuse: int = 64, bits: float = 8, sparsity: float = 0.0
) -> Dense:
    return Dense(
        widths=shape, weight_bits=bits, activation_bits=bits, reuse=reuse, sparsity=sparsity
    )


def answer(found: Estimate | NoData) -> float:
    assert isinstance(found, Estimate), found
    return found.value


def cycles(net: Dense) -> float:
    return answer(fpga.cycles(net, sheet=U250, table=TABLE))


def area(net: Dense, resource: fpga.Resource) -> float:
    return answer(fpga.area(net, resource=resource, sheet=U250, table=TABLE))


@pytest.mark.parametrize(
    ("shape", "reuse", "measured"),
    [
        ((80, 24, 120), 1024, 1923),
        ((104, 64, 120), 4093, 7171),
        ((104, 48, 112, 120), 1024, 2725),
    ],
)
def test_cycles_are_those_of_synthesis(shape: tuple[int, ...], reuse: int, measured: int) -> None:
    # exact: the tool's rule decides the reuse of every layer; 2 cycles a layer less 1 were
    # read off such rows
    assert cycles(dense(shape, reuse=reuse)) == measured


@given(st.integers(1, 5000), st.integers(1, 128), st.integers(1, 128))
def test_a_valid_reuse_divides_the_work(wanted: int, inputs: int, outputs: int) -> None:
    found = fpga.valid_reuse(wanted, inputs=inputs, outputs=outputs)
    assert inputs * outputs % found == 0


@given(widths, st.integers(2, 2048))
def test_cycles_never_beat_the_multipliers_at_work(shape: tuple[int, ...], reuse: int) -> None:
    net = dense(shape, reuse=reuse)
    assert cycles(net) * fpga.multipliers(net) >= net.macs * 0.99


@given(widths, st.floats(2, 16), st.floats(0.1, 8))
def test_more_bits_never_take_fewer_tables(
    shape: tuple[int, ...], bits: float, more: float
) -> None:
    assert area(dense(shape, bits=bits), "lut") <= area(dense(shape, bits=bits + more), "lut")


@given(widths, st.floats(0, 0.9))
def test_zeros_need_no_multipliers_where_every_weight_has_its_own(
    shape: tuple[int, ...], sparsity: float
) -> None:
    sparse = dense(shape, reuse=1, bits=6, sparsity=sparsity)
    assert area(sparse, "lut") <= area(dense(shape, reuse=1, bits=6), "lut")
    assert area(sparse, "dsp") == 0


def test_a_design_without_reuse_fills_its_part() -> None:
    pynq = load_sheets()["pynq-z1"]
    net = Dense(widths=(784, 1024, 1024, 1024, 10), weight_bits=1, activation_bits=1)
    found = answer(fpga.area(net, resource="lut", sheet=pynq, table=TABLE))
    assert 0 < found < pynq.fabric["lut"].value


def test_a_network_needs_two_widths() -> None:
    with pytest.raises(ValueError, match="two widths"):
        dense((64,))

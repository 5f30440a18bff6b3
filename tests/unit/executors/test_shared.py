"""Tensors survive the way through shared memory."""

from __future__ import annotations

import os
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fitwright.errors import DataError
from fitwright.executors import shared


def num_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


DTYPES = ["<f2", "<f4", "<f8", "i1", "<i2", "<i4", "<i8", "u1", "<u8", "?", "<c8", ">f4"]


@given(
    hnp.arrays(
        dtype=st.sampled_from([np.dtype(d) for d in DTYPES]),
        shape=hnp.array_shapes(min_dims=1, max_dims=4, max_side=5),
    ),
    st.integers(1, 3),
)
def test_packed_tensors_come_back_equal_and_aligned(array: np.ndarray, copies: int) -> None:
    given_ = {f"input {i}": array for i in range(copies)}
    memory, tensors = shared.packed(given_)
    found = shared.mapped(memory, tensors)
    assert found.keys() == given_.keys()
    for name, one in found.items():
        np.testing.assert_array_equal(one, given_[name])
        assert one.dtype == array.dtype.newbyteorder("=")
        for i in range(len(one)):
            query = one[i, ...]
            assert query.flags.c_contiguous
            assert query.__array_interface__["data"][0] % shared.ALIGNMENT_BYTES == 0


def test_views_keep_the_memory_alive_and_no_descriptor_stays_open() -> None:
    before = num_descriptors()
    memory, tensors = shared.packed({"x": np.arange(6.0).reshape(2, 3)})
    row = shared.mapped(memory, tensors)["x"][1]
    del tensors
    np.testing.assert_array_equal(row, [3.0, 4.0, 5.0])
    del row
    assert num_descriptors() == before


@pytest.mark.parametrize(
    ("tensors", "code"),
    [
        ({"x": np.array(["a", "b"])}, "FW148"),
        ({"x": np.array([object()])}, "FW148"),
        ({"x": np.zeros((2, 1)), "y": np.zeros((3, 1))}, "FW147"),
        ({"x": np.zeros((0, 1))}, "FW147"),
        ({"x": np.float32(1.0)}, "FW147"),
        ({}, "FW147"),
    ],
    ids=["text", "objects", "unequal", "none", "no axis", "no input"],
)
def test_what_cannot_be_stacked_numbers_is_refused(
    tensors: dict[str, np.ndarray], code: str
) -> None:
    with pytest.raises(DataError) as caught:
        shared.packed(tensors)
    assert caught.value.code == code


@pytest.mark.parametrize("num_bytes", [0, 100, shared.INLINE_BYTES, 1 << 20])
def test_messages_of_any_size_arrive_without_a_reader(num_bytes: int) -> None:
    """A pipe holds about 200 KB: a longer message must not wait for somebody to read it."""
    mine, theirs = Pipe()
    with mine, theirs:
        for memory in (None, shared.anonymous_memory(8)):
            body = os.urandom(num_bytes)
            shared.send_pickled(mine, body, memory=memory)
            found, got = shared.receive(theirs)
            assert found == body
            assert (got is None) == (memory is None)
            if got is not None:
                os.close(got)

"""The caching allocator: rounding, splitting, joining, lending, and a full device."""

from __future__ import annotations

from fitwright.perf.training.allocator import CachingAllocator

MIB = 1 << 20


def test_a_large_request_takes_whole_steps_of_two_mebibytes() -> None:
    allocator = CachingAllocator()
    allocator.take(11 * MIB)
    assert allocator.reserved_bytes == 12 * MIB


def test_a_middling_request_takes_a_segment_of_twenty_and_the_rest_serves_the_next() -> None:
    allocator = CachingAllocator()
    allocator.take(9 * MIB)
    allocator.take(9 * MIB)
    assert allocator.reserved_bytes == 20 * MIB


def test_freed_neighbours_join_and_serve_the_whole_again() -> None:
    allocator = CachingAllocator()
    allocator.give(allocator.take(64 * MIB))
    left, right = allocator.take(32 * MIB), allocator.take(32 * MIB)
    allocator.give(right)
    allocator.give(left)
    allocator.take(64 * MIB)
    assert allocator.peak_bytes == 64 * MIB


def test_a_piece_in_use_keeps_its_segment_from_a_larger_request() -> None:
    allocator = CachingAllocator()
    allocator.give(allocator.take(64 * MIB))
    allocator.take(16 * MIB)
    allocator.take(64 * MIB)
    assert allocator.peak_bytes == 128 * MIB


def test_what_another_stream_reads_is_free_only_once_settled() -> None:
    allocator = CachingAllocator()
    allocator.give_later(allocator.take(32 * MIB))
    allocator.take(32 * MIB)
    assert allocator.peak_bytes == 64 * MIB
    allocator.settle()
    allocator.take(32 * MIB)
    assert allocator.peak_bytes == 64 * MIB


def test_a_full_device_waits_for_what_was_lent_and_hands_free_segments_back() -> None:
    allocator = CachingAllocator(limit_bytes=96 * MIB)
    allocator.give_later(allocator.take(64 * MIB))
    allocator.take(80 * MIB)
    assert allocator.reserved_bytes == 80 * MIB
    assert allocator.peak_bytes == 80 * MIB

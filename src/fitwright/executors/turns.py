"""Arrivals that several processes serve first come, first served: who takes the next one.

The numbers of the arrivals lie in a pipe whose reading end all processes share; a free caller
reads the next one, and the end of the pipe means that there are no more. Reads and writes of
up to 4096 bytes are atomic (pipe(7)), so nobody needs a lock and nobody a message.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from contextlib import suppress

NUMBER = struct.Struct("<I")
ATOMIC_BYTES = 4096


def pipe() -> tuple[int, int]:
    """Reading end, to be given to every process, and writing end."""
    return os.pipe()


def fill(writing_end: int, num: int) -> None:
    """Write the numbers 0 to `num` - 1, and close; waits while the pipe is full."""
    step = ATOMIC_BYTES // NUMBER.size
    try:
        with suppress(BrokenPipeError):  # nobody is left to serve: each says why for itself
            for first in range(0, num, step):
                numbers = range(first, min(first + step, num))
                os.write(writing_end, b"".join(map(NUMBER.pack, numbers)))
    finally:
        os.close(writing_end)


def taker(reading_end: int) -> Callable[[], int | None]:
    """What takes the next number from the pipe; None at its end."""

    def take() -> int | None:
        read = os.read(reading_end, NUMBER.size)
        return int(NUMBER.unpack(read)[0]) if read else None

    return take

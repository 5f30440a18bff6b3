"""A process that starts workers and drivers, so that their death is seen and nothing is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import stub_roles
from nursery import Nursery, nursery


@pytest.fixture(scope="module")
def stable() -> Iterator[Nursery]:
    """Starts the roles of `stub_roles`; none of them outlives it."""
    with nursery(Path(stub_roles.__file__)) as found:
        yield found
        assert psutil.Process(found.process.pid).children(recursive=True) == []

"""Whether code reaches for the network: to be called in a child process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

# raised by the interpreter itself (docs: audit events); AF_UNIX sockets are not the network
EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request")


def network_events(function: Callable[..., object], *args: object) -> list[str]:
    """Call the function and name every attempt to reach the network meanwhile.

    A hook cannot be taken away again, so this belongs into a process that ends soon.
    """
    seen: list[str] = []

    def hook(event: str, details: tuple[Any, ...]) -> None:
        if event in EVENTS and not (event == "socket.connect" and _is_local(details[1])):
            seen.append(f"{event} {details!r}")

    sys.addaudithook(hook)
    function(*args)
    return seen


def _is_local(address: object) -> bool:
    """Unix sockets have a path for an address."""
    return isinstance(address, str | bytes)

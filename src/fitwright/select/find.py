"""From the device ids of a contract to devices."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from fitwright.errors import ContractError
from fitwright.records.device import Device


def find_devices(ids: Sequence[str], *, local: Device) -> tuple[Device, ...]:
    """The devices a contract names, each once, in its order.

    Raises:
        ContractError: an id is not known; every unknown id is named.
    """
    known = {local.id: local}
    unknown = [i for i in dict.fromkeys(ids) if i not in known]
    if unknown:
        raise ContractError(
            f"devices: {', '.join(repr(i) for i in unknown)} not known; "
            f"known: {', '.join(known)}{_guess(unknown, known)}",
            code="FW119",
            remedy="Write `devices: [local]`; a catalogue of other devices comes later.",
        )
    return tuple(known[i] for i in dict.fromkeys(ids))


def _guess(unknown: Sequence[str], known: Sequence[str] | dict[str, Device]) -> str:
    for wrong in unknown:
        close = difflib.get_close_matches(wrong.lower(), list(known), n=1)
        if close:
            return f" (did you mean {close[0]!r}?)"
    return ""

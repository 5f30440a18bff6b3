"""The device of a row, by its id or by the name that a table gives it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

from fitwright.catalog.device_names import named_in_a_table
from fitwright.catalog.sheets import FILES, find_sheet, load_sheets
from fitwright.catalog.slices import is_slice, slice_of, whole_name
from fitwright.errors import ContractError
from fitwright.records.sheet import Sheet

_MAKERS = re.compile(
    r"^(nvidia|amd|intel|qualcomm|google|aws|amazon|xilinx|rockchip|amlogic|hailo|geforce|radeon"
    r"|instinct|tesla)(?=.)"
)


def find_device(named: str) -> Sheet:
    """The device with this id, whatever its case and punctuation, or of this name or file.

    ``H100_SXM``, ``NVIDIA A100-SXM4-80GB`` and ``GeForce RTX 4090`` are found; a name that two
    devices share finds neither. ``A100-SXM4-40GB MIG 1g.5gb`` is that slice of the GPU.

    Raises:
        ContractError: there is no such device (with the ids that come near), the name leaves
            several open, or its file does not describe one.
    """
    try:
        return find_sheet(named)
    except ContractError:
        if named.endswith(FILES):
            raise
        if is_slice(named):
            return slice_of(find_device(whole_name(named)), named)
        found = _near(named) or _told(named)
        if found is None:
            raise
        return found


def _told(named: str) -> Sheet | None:
    """By the words of the name.

    Raises:
        ContractError: they leave several devices open.
    """
    found = named_in_a_table(named)
    if len(found) > 1:
        ids = [sheet.id for sheet in found]
        raise ContractError(
            f"{named!r} may be {', '.join(ids[:-1])} or {ids[-1]}",
            code="FW119",
            remedy="Say the memory and the form, or give the id.",
        )
    return found[0] if found else None


def _near(named: str) -> Sheet | None:
    known = _by_key()
    return next((known[key] for key in _keys(named) if key in known), None)


def _keys(named: str) -> Iterator[str]:
    """Without punctuation, then without makers and brands in front, one after the other."""
    key = re.sub(r"[^a-z0-9+]", "", re.sub(r"\((r|tm)\)|[®™]", "", named.lower()))
    yield key
    while (cut := _MAKERS.sub("", key)) != key:
        key = cut
        yield key


@cache
def _by_key() -> Mapping[str, Sheet]:
    """Ids first, then names; what two devices would answer to is left out."""
    sheets = load_sheets().values()
    ids = {next(_keys(sheet.id)): sheet for sheet in sheets}
    names: dict[str, list[Sheet]] = {}
    for sheet in sheets:
        for key in dict.fromkeys((*_keys(sheet.name), *_keys(sheet.id))):
            names.setdefault(key, []).append(sheet)
    return {key: of[0] for key, of in names.items() if len(of) == 1} | ids

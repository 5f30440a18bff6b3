"""The device of a row, by its id or by the name that a table gives it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

from fitwright.catalog.sheets import FILES, find_sheet, load_sheets
from fitwright.errors import ContractError
from fitwright.records.sheet import Sheet

_MAKERS = re.compile(
    r"^(nvidia|amd|intel|qualcomm|google|aws|amazon|xilinx|rockchip|amlogic|hailo|geforce|radeon"
    r"|instinct|tesla)(?=.)"
)


def find_device(named: str) -> Sheet:
    """The device with this id, whatever its case and punctuation, or of this name or file.

    ``H100_SXM``, ``nvidia-h100-sxm`` and ``GeForce RTX 4090`` are found; a name that two
    devices share finds neither.

    Raises:
        ContractError: there is no such device (with the ids that come near), or its file
            does not describe one.
    """
    try:
        return find_sheet(named)
    except ContractError:
        found = None if named.endswith(FILES) else _near(named)
        if found is None:
            raise
        return found


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

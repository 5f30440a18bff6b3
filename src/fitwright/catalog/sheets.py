"""The catalogue's devices: one file each beneath `devices/`, and files of the user."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import yaml

from fitwright.catalog.sheet_file import read_sheet
from fitwright.catalog.support import backends_of
from fitwright.errors import ContractError
from fitwright.records.sheet import Sheet

DEVICES = Path(__file__).parent / "devices"
# every scalar stays text: `units.py` reads it, and no date or `no` is converted on the way
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@cache
def load_sheets() -> Mapping[str, Sheet]:
    """Every device of the catalogue by id, in alphabetical order."""
    return MappingProxyType({f.stem: _packaged(f.stem) for f in sorted(DEVICES.glob("*.yaml"))})


def find_sheet(name: str) -> Sheet:
    """The device of the catalogue with this id, or of the user's file (a path to ``.yaml``).

    Raises:
        ContractError: there is no such device (with the ids that come near), or the file
            does not describe one.
    """
    if name.endswith((".yaml", ".yml")):
        return sheet_from_file(Path(name))
    if name in _ids():
        return _packaged(name)
    raise ContractError(
        f"no device {name!r} in the catalogue{_guess(name)}",
        code="FW119",
        remedy="`fitwright devices list` shows all; a device of your own is a file "
        "(`fitwright devices new FILE`).",
    )


def sheet_from_file(path: Path) -> Sheet:
    """A device in a file of the user's, checked by the rules of the catalogue.

    Raises:
        ContractError: the file cannot be read, or everything that is wrong in it.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ContractError(
            f"{path} cannot be read: {error}",
            code="FW122",
            remedy="Give a YAML file; `fitwright devices new FILE` writes one to fill in.",
        ) from error
    sheet = read_sheet(raw, where=str(path))
    return sheet if sheet.runs else sheet.model_copy(update={"runs": backends_of(sheet)})


@cache
def _ids() -> frozenset[str]:
    return frozenset(f.stem for f in DEVICES.glob("*.yaml"))


@cache
def _packaged(name: str) -> Sheet:
    return sheet_from_file(DEVICES / f"{name}.yaml")


def _guess(name: str) -> str:
    """``; did you mean 'h100-sxm'?`` with up to three ids that come near."""
    word = name.lower().replace("_", "-").replace(" ", "-")
    ids = sorted(_ids())
    inside = [i for i in ids if word and (word in i or i in word)]
    near = list(dict.fromkeys([*inside, *difflib.get_close_matches(word, ids, n=3)]))[:3]
    return f"; did you mean {' or '.join(repr(i) for i in near)}?" if near else ""

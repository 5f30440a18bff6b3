"""The catalogue's devices: one file each beneath `devices/`, and files of the user."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import yaml

from fitwright.catalog.plain_yaml import plain_yaml
from fitwright.catalog.sheet_file import read_sheet
from fitwright.catalog.support import backends_of
from fitwright.errors import ContractError
from fitwright.records.sheet import Sheet

FILES = (".yaml", ".yml")
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
    if name.endswith(FILES):
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
        text = path.read_text(encoding="utf-8")
        twice = _repeated(yaml.compose(text, Loader=_Loader))
        raw = yaml.load(text, Loader=_Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ContractError(
            f"{path} cannot be read: {_told(error)}",
            code="FW122",
            remedy="Give a YAML file; `fitwright devices new FILE` writes one to fill in.",
        ) from error
    return _with_runs(read_sheet(raw, where=str(path), repeated=twice))


def _told(error: Exception) -> str:
    """Without the number and the path that the system's own words repeat."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _with_runs(sheet: Sheet) -> Sheet:
    return sheet if sheet.runs else sheet.model_copy(update={"runs": backends_of(sheet)})


def _repeated(node: yaml.Node | None) -> list[str]:
    """Keys that stand twice in one mapping; YAML would keep the last without a word."""
    if isinstance(node, yaml.SequenceNode):
        return [key for item in node.value for key in _repeated(item)]
    if not isinstance(node, yaml.MappingNode):
        return []
    keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    twice = [key for key in dict.fromkeys(keys) if keys.count(key) > 1]
    return twice + [key for _, value in node.value for key in _repeated(value)]


def template() -> str:
    """A device file to fill in, with a comment for each key."""
    return Path(__file__).with_name("template.yaml").read_text(encoding="utf-8")


def copy_of(like: str, *, name: str) -> str:
    """The file of a known device under another id, to be changed.

    Raises:
        ContractError: there is no such device.
    """
    sheet = find_sheet(like)
    path = Path(like) if like.endswith(FILES) else DEVICES / f"{sheet.id}.yaml"
    text = path.read_text(encoding="utf-8")
    return re.sub(r"^id:.*$", f"id: {name}", text, count=1, flags=re.MULTILINE)


def cautions(sheet: Sheet) -> list[str]:
    """What estimates for a device of the user's own will lack."""
    lacks = [
        f"no {what}: {effect}"
        for what, effect, fact in (
            ("tdp", "energy cannot be estimated", sheet.tdp_w),
            ("price", "the cost of owning it cannot be estimated", sheet.price_usd),
            ("num_units", "how work is tiled over it is not counted", sheet.num_units),
        )
        if fact is None
    ]
    if not sheet.runs:
        lacks.append(f"no runs: no backend is known for the family {sheet.family}")
    if sheet.id in _ids():
        lacks.append(f"the catalogue has a device {sheet.id} too; name this one by its file")
    return lacks


@cache
def _ids() -> frozenset[str]:
    return frozenset(f.stem for f in DEVICES.glob("*.yaml"))


@cache
def _packaged(name: str) -> Sheet:
    file = DEVICES / f"{name}.yaml"
    raw = plain_yaml(file.read_text(encoding="utf-8"))
    return _with_runs(read_sheet(raw, where=file.name))


def _guess(name: str) -> str:
    """``; did you mean 'h100-sxm'?`` with up to three ids that come near."""
    word = name.lower().replace("_", "-").replace(" ", "-")
    ids = sorted(_ids())
    inside = [i for i in ids if word and (word in i or i in word)]
    near = list(dict.fromkeys([*inside, *difflib.get_close_matches(word, ids, n=3)]))[:3]
    near = near or _of_the_same_line(word, ids)
    return f"; did you mean {' or '.join(repr(i) for i in near)}?" if near else ""


def _of_the_same_line(word: str, ids: list[str]) -> list[str]:
    """Up to three ids that share a whole word (``rtx``, ``xeon``) with a name, nearest first."""
    said = set(re.findall(r"[a-z][a-z0-9]+", word))
    shared = {i: len(said & set(i.split("-"))) for i in ids}
    near = {i: difflib.SequenceMatcher(None, word, i).ratio() for i, n in shared.items() if n}
    return sorted(near, key=lambda i: (-shared[i], -near[i]))[:3]

"""From the devices that a contract wants to sheets of the catalogue and files of the user."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fitwright.catalog.sheets import find_sheet, load_sheets, sheet_from_file
from fitwright.errors import ContractError
from fitwright.records.place import DeviceFilter, DeviceWanted
from fitwright.records.sheet import Sheet

LOCAL = "local"
_FILES = (".yaml", ".yml")


def wants_local(wanted: Sequence[DeviceWanted]) -> bool:
    """Whether this machine is among them."""
    return LOCAL in wanted


def check_measurable(wanted: Sequence[DeviceWanted], *, folder: Path) -> None:
    """What runs a model needs this machine; every id must be known all the same.

    Raises:
        ContractError: an id is unknown, or `local` is not among the devices.
    """
    find_sheets(wanted, folder=folder)
    if not wants_local(wanted):
        named = ", ".join(w if isinstance(w, str) else w.describe() for w in wanted)
        raise ContractError(
            f"devices: {named}: Fitwright can predict and choose these, but measures only "
            "`local`, the machine it runs on",
            code="FW125",
            remedy="Compare them with `fitwright select`; to fit the model to this machine, add "
            "local to 'devices:'.",
        )


def find_sheets(wanted: Sequence[DeviceWanted], *, folder: Path) -> tuple[Sheet, ...]:
    """The sheets asked for, each once, in the order of the contract; `local` has none.

    Args:
        wanted: `local`, ids, paths of device files, filters.
        folder: where relative paths start.

    Raises:
        ContractError: ids that are not known, files that describe no device and filters
            that let nothing through; all of them at once.
    """
    found: dict[str, Sheet] = {}
    wrong: list[ContractError] = []
    for entry in wanted:
        try:
            found |= {sheet.id: sheet for sheet in _sheets(entry, folder)}
        except ContractError as error:
            wrong.append(error)
    if wrong:
        raise _together(wrong)
    return tuple(found.values())


def _sheets(entry: DeviceWanted, folder: Path) -> Iterator[Sheet]:
    if isinstance(entry, DeviceFilter):
        yield from _passing(entry)
    elif entry.endswith(_FILES):
        yield sheet_from_file(folder / Path(entry).expanduser())
    elif entry != LOCAL:
        yield _known(entry)


def _known(name: str) -> Sheet:
    """Where `local` is nearer than any id of the catalogue, it is what is suggested."""
    if difflib.get_close_matches(name.lower(), [LOCAL], cutoff=0.7) and name not in load_sheets():
        raise ContractError(f"no device {name!r}; did you mean 'local'?", code="FW119")
    return find_sheet(name)


def _passing(wanted: DeviceFilter) -> list[Sheet]:
    sheets = load_sheets()
    vendors = {s.vendor.lower() for s in sheets.values()}
    for vendor in wanted.vendor:
        if vendor.lower() not in vendors:
            raise ContractError(
                f"no device of vendor {vendor!r}; {_nearest_vendor(vendor, sheets)}", code="FW124"
            )
    found = [sheet for sheet in sheets.values() if passes(sheet, wanted)]
    if not found:
        raise ContractError(f"no device passes the filter {wanted.describe()}", code="FW124")
    return found


def passes(sheet: Sheet, wanted: DeviceFilter) -> bool:
    """Whether a device is what the filter asks for."""
    return (
        (not wanted.kind or sheet.kind in wanted.kind)
        and (not wanted.vendor or sheet.vendor.lower() in [v.lower() for v in wanted.vendor])
        and (wanted.available != "rent" or bool(sheet.rents))
        and (wanted.available != "buy" or sheet.price_usd is not None)
    )


def _nearest_vendor(vendor: str, sheets: Mapping[str, Sheet]) -> str:
    vendors = {s.vendor.lower(): s.vendor for s in sheets.values()}
    close = difflib.get_close_matches(vendor.lower(), sorted(vendors), n=1, cutoff=0.5)
    if close:
        return f"did you mean {vendors[close[0]]!r}?"
    return f"known: {', '.join(sorted(vendors.values()))}"


def _together(wrong: Sequence[ContractError]) -> ContractError:
    """One error for all of them, under the code of the first."""
    if len(wrong) == 1 and wrong[0].remedy:
        return wrong[0]
    lines = "".join(f"\n  {error.rule}" for error in wrong)
    told = f"{len(wrong)} of them cannot be used:{lines}" if len(wrong) > 1 else wrong[0].rule
    remedies = dict.fromkeys(error.remedy for error in wrong if error.remedy)
    return ContractError(
        f"devices: {told}",
        code=wrong[0].code,
        remedy=" ".join(remedies) or "`fitwright devices list` shows what there is.",
    )

"""Step 2 on its own, over the whole catalogue: nothing is run, everything is predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fitwright.analyze.analyze import summarize_safely
from fitwright.analyze.contract import resolved
from fitwright.analyze.need import need_without_data
from fitwright.analyze.samples import source_arrays
from fitwright.catalog.evidence import all_evidence
from fitwright.catalog.sheets import load_sheets
from fitwright.flow.steps import READ_LIMITS, device_line, model_line
from fitwright.perf.local import local_sheet, local_table
from fitwright.ports import Tools
from fitwright.records.contract import Contract
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.need import Need
from fitwright.records.place import DeviceWanted
from fitwright.records.selection import Selection
from fitwright.records.sheet import Sheet
from fitwright.select.calibration.calibrate import stored_profile
from fitwright.select.demand import demand_of
from fitwright.select.find import LOCAL, find_sheets, wants_local
from fitwright.select.local import local_device
from fitwright.select.predict import Forecaster
from fitwright.select.select import select
from fitwright.select.survey import survey


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A selection, and what it was made from.

    Attributes:
        sheets: of every device looked at, by id.
    """

    selection: Selection
    need: Need
    summary: ModelSummary
    sheets: Mapping[str, Sheet]


def choose(contract: Contract, *, folder: Path, tools: Tools, also: Sequence[str] = ()) -> Chosen:
    """Which of the devices can do it, how many of them, at what cost, and how sure that is.

    Args:
        contract: what must hold; without 'devices' this machine and the whole catalogue are
            looked at.
        folder: where relative paths start.
        also: devices to look at beside those of the contract.

    Raises:
        ContractError: a device is not known, or the contract does not fit the model.
        ModelRefused: the model cannot be read.
    """
    wanted = [*_wanted(contract), *also]
    sheets = list(find_sheets(wanted, folder=folder))
    summary = _summary(contract, folder=folder, tools=tools)
    need = need_without_data(contract, summary)
    local = _local(tools) if wants_local(wanted) else None
    table = all_evidence()
    if local is not None:
        profile = stored_profile(local, cache=tools.cache)
        sheets.insert(0, local_sheet(local, profile))
        table = (*(local_table(profile) if profile else ()), *table)
    tools.console.step(f"2 select  {len(sheets)} device{'s' if len(sheets) > 1 else ''}")
    demand = demand_of(contract, need.limits, is_batchable=summary.is_batchable)
    forecast = Forecaster(summary=summary, table=table, batch=contract.traffic.batch)
    found = survey(demand, summary, sheets, forecast=forecast)
    return Chosen(
        selection=with_local(found, need, summary, local),
        need=need,
        summary=summary,
        sheets={sheet.id: sheet for sheet in sheets},
    )


def _wanted(contract: Contract) -> Sequence[DeviceWanted]:
    if "devices" in contract.model_fields_set:
        return contract.devices
    return [LOCAL, *load_sheets()]


def _summary(contract: Contract, *, folder: Path, tools: Tools) -> ModelSummary:
    tools.console.step(f"1 analyze  {contract.model}")
    arrays = source_arrays(contract.data, folder) if contract.data else {}
    summary = summarize_safely(
        resolved(contract.model, folder),
        contract,
        executor=tools.executor,
        limits=READ_LIMITS,
        arrays={name: array.shape for name, array in arrays.items()},
    )
    tools.console.say(model_line(summary))
    return summary


def _local(tools: Tools) -> Device:
    device = local_device(
        executor=tools.executor, runtimes=tuple(tools.runtimes.values()), cache=tools.cache
    )
    tools.console.say(device_line(device))
    return device


def with_local(
    found: Selection, need: Need, summary: ModelSummary, local: Device | None
) -> Selection:
    """This machine also by its measured peaks, as a run would judge it."""
    if local is None:
        return found
    here = select(need, summary, devices=(local,))
    known = {r.device_id for r in found.refused}
    more = tuple(r for r in here.refused if r.device_id not in known)
    refused = {r.device_id for r in more}
    return found.model_copy(
        update={
            "choices": here.choices,
            "prospects": tuple(p for p in found.prospects if p.device_id not in refused),
            "refused": (*more, *found.refused),
        }
    )

"""From a contract file to a checked `Contract`: every mistake at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from fitwright.analyze.complaints import complaints
from fitwright.analyze.document import read_document
from fitwright.errors import ContractError
from fitwright.records.contract import Budget, Contract

FLOOR_RANGE: Mapping[str, tuple[float, float]] = {
    "accuracy": (0.0, 1.0),
    "f1": (0.0, 1.0),
    "roc_auc": (0.0, 1.0),
    "top1_agreement": (0.0, 1.0),
    "cosine": (-1.0, 1.0),
    "mse": (0.0, float("inf")),
}
"""What each metric can be; a floor outside can never, or must always, be kept."""

_MAX_PROBLEMS = 50


def read_contract(path: Path) -> tuple[Contract, Path]:
    """The contract in a YAML file, and the folder that its relative paths start from.

    Raises:
        ContractError: with all that is wrong, one line each.
    """
    data = read_document(path)
    try:
        contract = Contract.model_validate(data, context={"user": True})
    except ValidationError as error:
        raise _refusal(path, complaints(error, Contract), code="FW113") from error
    if problems := contradictions(contract):
        raise _refusal(path, problems, code="FW114")
    return contract, path.absolute().parent


def contract_for_model(path: Path) -> Contract:
    """What ``fitwright fit model.onnx`` means: the fastest artefact that agrees with it.

    Its folder is the folder of `path`; the budget leaves a run well inside ten minutes.
    """
    return Contract(model=path.name or ".", budget=Budget(time=480.0, stop="exhausted"))


def resolved(path: str, folder: Path) -> Path:
    """A path of the contract; a relative one starts from the contract's folder."""
    try:
        return folder / Path(path).expanduser()
    except RuntimeError:  # "~name" of a user that does not exist may still be a file's name
        return folder / path


def contradictions(contract: Contract) -> list[str]:
    """Lines for what no model and no machine could ever keep."""
    limits, traffic = contract.limits, contract.traffic
    found: list[str] = []
    if traffic.rate_per_s is not None and limits.throughput is not None:
        arriving = traffic.rate_per_s * traffic.batch
        if limits.throughput > arriving * (1 + 1e-9):
            found.append(
                f"limits.throughput: asks for {limits.throughput:g}/s while only {arriving:g}/s "
                "arrive (traffic.rate x batch) - lower it or raise traffic.rate"
            )
    if limits.accuracy is not None and contract.data is None:
        found.append("limits.accuracy: needs labels - add 'data: {source: data.npz}'")
    return found + _floor_problems(contract)


def _floor_problems(contract: Contract) -> list[str]:
    accuracy = contract.limits.accuracy
    floor = accuracy.floor if accuracy else None
    metric = contract.data.metric if contract.data else None
    if floor is None or metric is None or metric not in FLOOR_RANGE:
        return []
    low, high = FLOOR_RANGE[metric]
    if low <= floor <= high:
        return []
    return [f"limits.accuracy.floor: {metric} lies in [{low:g}, {high:g}] ({floor:g})"]


def _refusal(path: Path, problems: list[str], *, code: str) -> ContractError:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"  {p}" for p in problems[:_MAX_PROBLEMS]]
    return ContractError(
        "\n".join([f"{path} has {count}:", *lines]),
        code=code,
        remedy="Correct the contract and run again.",
    )

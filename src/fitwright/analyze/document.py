"""A user's YAML file as plain data: text, numbers, lists and mappings, nothing else.

The file is small, UTF-8 and shallow by rule, so that no file can cost more than a moment.
Numbers and booleans are read as in YAML 1.2 (``no`` and ``1:30`` stay text), a key may
appear once, and anchors are refused: a few of them can describe a document of any size.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

import yaml

from fitwright.errors import ContractError

MAX_BYTES = 1_000_000
MAX_DEPTH = 16
MAX_NODES = 20_000

_MODEL_SUFFIXES = {".onnx", ".pt", ".pt2", ".pth", ".h5", ".keras", ".tflite", ".safetensors"}
_RESOLVED = (
    ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]{1,18}$"), "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        re.compile(
            r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        "-+.0123456789",
    ),
)


class _PlainLoader(yaml.SafeLoader):
    """The safe loader without anchors, repeated keys, dates, base-8 and base-60 numbers."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _problem("anchors and aliases (& and *) are not read here", event)
        self._nodes += 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _problem(f"nested deeper than {MAX_DEPTH} levels", event)
        if self._nodes > MAX_NODES:
            raise _problem(f"more than {MAX_NODES} entries", event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(  # a lazy (shallow) mapping would escape the checks: always deep
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: ARG002
    ) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or not key.tag.endswith(":str"):
                raise _problem("a key must be text; put it in quotes", key)
            if key.value in seen:
                raise _problem(f"the key '{key.value[:60]}' appears twice", key)
            seen.add(key.value)
        return super().construct_mapping(node, deep=True)


for _tag, _pattern, _first in _RESOLVED:
    _PlainLoader.add_implicit_resolver(_tag, _pattern, list(_first))
_PlainLoader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))
_PlainLoader.add_constructor(
    "tag:yaml.org,2002:float",
    lambda _, node: float(re.sub(r"\.(?=inf|nan)", "", node.value.lower())),
)


def _problem(text: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=text, problem_mark=at.start_mark)


def read_document(path: Path) -> dict[str, Any]:
    """The mapping that a contract file holds.

    Raises:
        ContractError: the file is missing, unreadable, too large, not UTF-8 text, not
            YAML, or holds something other than ``key: value`` lines.
    """
    text = _text(path)
    try:
        data = _PlainLoader(text).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ContractError(
            f"{path} is not YAML that can be read: {_where(error)}",
            code="FW112",
            remedy="Check that line: indent with spaces, put odd text in quotes, "
            "write each key once.",
        ) from error
    if isinstance(data, dict):
        return data
    raise ContractError(
        f"{path} must hold 'key: value' lines such as 'model: model.onnx'; "
        f"it holds {'nothing' if data is None else 'a ' + type(data).__name__}",
        code="FW111",
        remedy="Start with the line 'model: model.onnx'; to fit a model without a contract "
        "run `fitwright fit model.onnx`.",
    )


def _text(path: Path) -> str:
    content = _content(path)
    if path.suffix.lower() in _MODEL_SUFFIXES or b"\0" in content[:8192]:
        raise ContractError(
            f"{path} is not a contract; it looks like a model or another binary file",
            code="FW111",
            remedy="A contract is a YAML text file whose 'model:' line names the model.",
        )
    if content.lstrip()[:1] == b"<":
        raise ContractError(
            f"{path} is not a contract; it looks like an HTML or XML page",
            code="FW111",
            remedy="Download the file itself, not the page that shows it.",
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContractError(
            f"{path} is not UTF-8 text (byte {error.start})",
            code="FW111",
            remedy="Save it as UTF-8.",
        ) from error


def _content(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise ContractError(
                f"{path} is {kind}; a contract is a YAML file",
                code="FW110",
                remedy="Name the file itself, such as contract.yaml.",
            )
        if status.st_size > MAX_BYTES:
            raise ContractError(
                f"{path} has {status.st_size} bytes; a contract has at most {MAX_BYTES}",
                code="FW111",
                remedy="Is this the contract? Arrays belong into an .npz file under 'data:'.",
            )
        return path.read_bytes()
    except OSError as error:
        raise ContractError(
            f"cannot read {path}: {os.strerror(error.errno or 0)}",
            code="FW110",
            remedy="Check the path and its permissions.",
        ) from error


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    said = [getattr(error, part, None) for part in ("context", "problem", "reason")]
    short = " ".join((", ".join(filter(None, said)) or str(error)).split())[:160]
    return f"line {mark.line + 1}, column {mark.column + 1}: {short}" if mark else short

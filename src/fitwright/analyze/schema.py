"""The JSON Schema of a contract, for editors; ``python -m fitwright.analyze.schema`` writes it.

In a contract, editors with a YAML language server find it by the first line::

    # yaml-language-server: $schema=contract.schema.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fitwright.records.contract import Contract

SCHEMA_FILE = Path(__file__).parents[1] / "schema" / "contract.schema.json"


def contract_schema() -> dict[str, Any]:
    """The schema, with keys and quantities as users write them."""
    schema = Contract.model_json_schema(by_alias=True, mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_for_people(schema),
        "title": "Fitwright contract",
    }


def _for_people(node: Any) -> Any:
    """Without defaults that nobody would write: null, and whole records in base units."""
    if isinstance(node, list):
        return [_for_people(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _for_people(value)
        for key, value in node.items()
        if not (key == "default" and (value is None or isinstance(value, dict)))
    }


def schema_text() -> str:
    """What the shipped file holds."""
    return json.dumps(contract_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.parent.mkdir(exist_ok=True)
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")

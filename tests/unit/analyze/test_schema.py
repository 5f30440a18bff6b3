"""The schema for editors is the record, as users write it."""

from __future__ import annotations

import json
from typing import Any

from fitwright.analyze.schema import SCHEMA_FILE, contract_schema, schema_text
from fitwright.records.contract import Contract


def test_the_shipped_file_is_what_the_record_says() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), (
        "run `python -m fitwright.analyze.schema`"
    )


def records() -> dict[str, Any]:
    schema = contract_schema()
    return {"Contract": schema, **schema["$defs"]}


def test_every_key_is_described_and_no_other_is_allowed() -> None:
    for name, record in records().items():
        assert record["additionalProperties"] is False, name
        assert record["description"], name
        for key, field in record["properties"].items():
            assert field.get("description"), f"{name}.{key}"


def test_keys_are_those_that_users_write() -> None:
    found = records()
    assert "price" in found["Contract"]["properties"]
    assert "rate" in found["Traffic"]["properties"]
    assert "time" in found["Budget"]["properties"]
    assert found["Contract"]["required"] == ["model"]


def test_quantities_are_text_with_a_unit() -> None:
    p99 = records()["Limits"]["properties"]["latency_p99"]["anyOf"]
    assert {o["type"] for o in p99} == {"string", "null"}
    assert "10 ms" in json.dumps(p99)


def test_every_field_of_the_record_is_in_the_schema() -> None:
    keys = {f.alias or name for name, f in Contract.model_fields.items()}
    assert keys == contract_schema()["properties"].keys()

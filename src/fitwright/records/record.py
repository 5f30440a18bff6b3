"""What every record is: frozen, keyword-only, unknown keys refused, JSON in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

SCHEMA_VERSION = 1


class Record(BaseModel):
    """A frozen noun. Change means ``record.model_copy(update=...)``."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        ser_json_inf_nan="strings",
        use_enum_values=False,
        protected_namespaces=(),
    )

    @model_validator(mode="before")
    @classmethod
    def _leave_out_computed(cls, data: object) -> object:
        """What `to_json` writes for the reader's comfort is computed again when read back."""
        if not isinstance(data, dict) or not cls.model_computed_fields:
            return data
        return {k: v for k, v in data.items() if k not in cls.model_computed_fields}

    def to_json(self) -> str:
        """Stable text: sorted by declaration, two spaces, newline at the end."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read back what `to_json` wrote."""
        return cls.model_validate_json(path.read_bytes())

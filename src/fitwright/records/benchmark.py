"""One public benchmark: what one sample costs and in which numbers it is computed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fitwright.records.record import Record

Character = Literal["convolution", "transformer", "recurrent", "ranking", "generation"]
"""What decides how well a benchmark fills a device."""


class Benchmark(Record):
    """One benchmark of MLPerf inference.

    Attributes:
        name: as its organisers write it.
        flops: of one sample, 1 MAC = 2; of the data set's mean sample (BERT unpadded).
        dtypes: the arithmetic that submissions use, the preferred first; a device takes the
            first that it has a peak for.
        kept_from: dtype to architectures whose submissions do not use it although they could.
        aliases: other names in use.
        source: where the FLOP come from.
    """

    name: str
    character: Character
    flops: float = Field(gt=0)
    dtypes: tuple[str, ...]
    kept_from: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    source: str


class TinyNetwork(Record):
    """One network of MLPerf Tiny: the totals of one inference.

    Attributes:
        name: as its organisers write it.
        macs: multiply-adds.
        parameters: trained numbers.
        aliases: other names in use.
    """

    name: str
    macs: float = Field(gt=0)
    parameters: float = Field(gt=0)
    aliases: tuple[str, ...] = ()

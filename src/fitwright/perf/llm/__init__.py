"""Language models at inference: counts, the time of a pass, serving as events, memory."""

from fitwright.perf.llm.engines import ENGINES, engine_named
from fitwright.perf.llm.formats import llama_cpp_format, read_format
from fitwright.perf.llm.summary import Summary, summary

__all__ = ["ENGINES", "Summary", "engine_named", "llama_cpp_format", "read_format", "summary"]

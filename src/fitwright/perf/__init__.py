"""The performance model: pure arithmetic, no input or output."""

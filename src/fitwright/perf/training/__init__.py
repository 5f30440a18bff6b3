"""One training step of a transformer over many devices: its time, its memory, its layouts."""

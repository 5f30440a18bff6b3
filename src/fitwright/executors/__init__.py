"""Where trials run: child processes with a clock and a memory limit."""

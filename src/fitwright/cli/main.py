"""The `fitwright` command; filled in by one file per sub-command."""


def run() -> None:
    """Entry point of the console script."""
    raise SystemExit("fitwright: no command is ready yet")

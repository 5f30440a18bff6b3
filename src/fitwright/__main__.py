"""`python -m fitwright`: the same as the console script."""

from fitwright.cli.main import run

if __name__ == "__main__":
    run()

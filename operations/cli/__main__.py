"""Run the command line: `python -m operations.cli`."""

from operations.cli.main import run

run()

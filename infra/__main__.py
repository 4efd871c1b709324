"""Entry point of the Pulumi program."""

from __future__ import annotations

from infra.program import run

run()

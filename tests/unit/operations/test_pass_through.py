"""Commands that hand their arguments to another program change none of them."""

from __future__ import annotations

import pytest

from operations import live
from operations.cli.main import main


@pytest.mark.parametrize("program", ["kubectl", "pulumi", "python"])
def test_every_argument_reaches_the_program_a_double_dash_and_help_too(program, monkeypatch):
    seen = []
    monkeypatch.setattr(live, "become", lambda _program, arguments, *_, **__: seen.append(list(arguments)))
    for name in ("require_platform", "kubectl", "kubectl_environment", "pulumi_program", "tool_environment"):
        monkeypatch.setattr(live, name, lambda _: None)
    given = ["exec", "pod", "--", "psql", "-XAtc", "select 1", "--help", "--"]
    main([program, *given])
    assert seen == [given]

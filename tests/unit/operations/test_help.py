"""The help that people read first."""

from __future__ import annotations

import pytest

from operations.cli import main as cli


@pytest.mark.parametrize("group", [(), ("config",), ("policies",), ("cache",), ("refresh",), ("sandbox",)])
def test_no_line_of_a_command_is_cut_in_the_middle(group, capsys):
    assert cli.main([*group, "--help"]) == 0
    commands = capsys.readouterr().out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert commands
    assert [line for line in commands if line.endswith("...")] == []

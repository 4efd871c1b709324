"""The help that people read first."""

from __future__ import annotations

import re

import pytest
import typer.main

from operations.cli import main as cli
from operations.exit_codes import ExitCode

OTHER_PROGRAMS = {("kubectl",), ("pulumi",), ("python",)}
"""Their help is the other program's."""


def commands(command=None, path=()):
    """Yield every command and group of the application with its words."""
    command = command or typer.main.get_command(cli.app)
    if path not in OTHER_PROGRAMS:
        yield path, command
    for name, each in getattr(command, "commands", {}).items():
        yield from commands(each, (*path, name))


COMMANDS = dict(commands())


def helped(path, capsys):
    """Return a command's help with its line ends taken out of the sentences."""
    assert cli.main([*path, "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("group", [(), ("config",), ("policies",), ("cache",), ("refresh",), ("sandbox",)])
def test_no_line_of_a_command_is_cut_in_the_middle(group, capsys):
    listed = helped(group, capsys).partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert listed
    assert [line for line in listed if line.endswith("...")] == []


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_arguments_are_named_without_a_programmers_types(path, capsys):
    assert re.findall(r"<\S+>", helped(path, capsys)) == []


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_option_is_explained_in_whole_sentences(path):
    command = COMMANDS[path]
    assert command.help
    assert command.help.strip().splitlines()[0].endswith(".")
    shown = [param for param in command.params if not getattr(param, "hidden", False) and param.name != "help"]
    assert [param.name for param in shown if not (param.help or "").endswith((".", "?"))] == []


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_code_that_a_help_names_is_one_of_the_list(path, capsys):
    text = " ".join(helped(path, capsys).partition("Exit codes:")[0].split())
    named = re.findall(r"(?:exit code|exit with|exits with|with code) (\d+)", text, re.IGNORECASE)
    assert set(map(int, named)) <= set(ExitCode)


def test_the_first_help_lists_every_exit_code_and_the_variables(capsys):
    text = helped((), capsys)
    listed = re.findall(r"^ +(\d+)  \S", text.partition("Exit codes:")[2], re.MULTILINE)
    assert list(map(int, listed)) == list(ExitCode)
    for variable in ("CAREOPS_STATE", "CAREOPS_CACHE", "CAREOPS_API_PORT", "CAREOPS_PERSON", "CAREOPS_DEBUG"):
        assert variable in text


def test_every_command_that_shows_a_plan_first_takes_the_same_option():
    with_plan = {path for path, command in COMMANDS.items() if any("--plan" in param.opts for param in command.params)}
    assert with_plan == {
        ("down",),
        ("seed",),
        ("refresh", "training"),
        ("sandbox", "rebuild"),
        ("cache", "prune"),
    }
    for path in with_plan:
        assert any(param.opts == ["--plan", "--plan-only"] for param in COMMANDS[path].params), path

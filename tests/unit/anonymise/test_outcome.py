"""What a program may say of an error: kinds, places and names of objects, never a value."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest

from operations.anonymise import __main__ as program
from operations.anonymise.catalogue.loader import CatalogueError
from operations.anonymise.faults import TransferError
from operations.anonymise.outcome import FAILED, REFUSED, UNAVAILABLE, Refused, told

SECRET = "Ada Lovelace"


def raised(error: BaseException) -> BaseException:
    """Return it with a traceback."""
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.UniqueViolation(f"duplicate key\nDETAIL:  Key (name)=({SECRET}) already exists."),
        psycopg.OperationalError(f"invalid value {SECRET}"),
        ValueError(SECRET),
        KeyError(SECRET),
        UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET),
        FileNotFoundError(2, "No such file or directory", f"/var/lib/odoo/{SECRET}"),
        SystemExit(SECRET),
        RecursionError(SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_error_is_told_with_the_value_that_it_carries(error):
    text = str(told(raised(error)))
    assert SECRET not in text
    assert type(error).__name__ in text


def test_the_reason_of_the_system_is_told_without_the_name_of_the_file():
    text = str(told(raised(OSError(28, "No space left on device", f"/tmp/{SECRET}"))))
    assert "No space left on device" in text
    assert SECRET not in text


def test_an_unreachable_database_is_69_and_a_catalogue_with_mistakes_is_78():
    assert told(psycopg.OperationalError("connection to server failed")).code == UNAVAILABLE
    assert told(CatalogueError(["site.tsv:3: no such rule"])).code == REFUSED
    assert "site.tsv:3" in str(told(CatalogueError(["site.tsv:3: no such rule"])))
    assert told(TransferError("copy", "row refused", "correct the rule", table="res_partner", row=7)).code == FAILED


def test_an_error_that_is_ours_is_told_as_it_is():
    error = Refused("what", why="why", action="action")
    assert told(error) is error


def test_the_program_ends_with_the_status_of_the_error_and_prints_no_traceback(monkeypatch, capsys):
    def fail(_):
        raise ValueError(SECRET)

    monkeypatch.setitem(program.COMMANDS, "export", ("", fail))
    monkeypatch.setattr(program.signal, "signal", lambda *_: None)
    assert program.main(["export"]) == FAILED
    said = capsys.readouterr().err
    assert "careops-refresh: export:" in said
    assert SECRET not in said
    assert "Traceback" not in said


def test_a_pod_without_settings_is_refused_with_78():
    done = subprocess.run(
        [sys.executable, "-m", "operations.anonymise", "export"], capture_output=True, text=True, check=False, env={}
    )
    assert done.returncode == REFUSED, done.stderr
    assert "CAREOPS_JOB" in done.stderr


def test_the_programs_import_only_what_the_refresh_image_has():
    """The image has the standard library, psycopg and cryptography; nothing of infra, the toolchain or the command."""
    text = (
        "import sys, pkgutil, importlib, operations.anonymise as package\n"
        "for module in pkgutil.walk_packages(package.__path__, 'operations.anonymise.'):\n"
        "    if not module.name.endswith('__main__'): importlib.import_module(module.name)\n"
        "names = {name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)\n"
        "print(' '.join(sorted(name for name in names if not name.startswith('_'))))\n"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    foreign = {"infra", "toolchain", "policies", "pydantic", "typer", "rich", "httpx", "yaml", "structlog", "faker"}
    assert foreign & set(done.stdout.split()) == set()

"""A small company with tables of Odoo's names, its servers, and the programs of a run played on them.

The shipped catalogue is what masks it. Adoption and proof are played; `tests/images/test_refresh.py` has the real ones.
"""
# ruff: noqa: S608 - the statements are made of this file's own constants

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from operations.anonymise import marks
from operations.anonymise.environment import Pod
from operations.anonymise.export import Export
from operations.anonymise.faults import ISOLATED, PROD, TRAINING
from operations.anonymise.files import inspect
from operations.anonymise.marks import DATABASE, Program, Step
from operations.anonymise.mask import Mask
from operations.anonymise.outcome import told
from operations.anonymise.rules.plain import FILES_TABLE
from operations.anonymise.sessions import Endpoint
from operations.anonymise.snapshot import LiveSnapshot
from operations.anonymise.target import Target
from operations.anonymise.waiting import Patience
from tests.anonymise.masking import tools
from tests.anonymise.support import Server

RUN = "417"
NAME = "ab/" + "ab" * 20
COMPANY = """
    CREATE TABLE ir_config_parameter (id int PRIMARY KEY, key text, value text);
    CREATE TABLE res_country (id int PRIMARY KEY, code text);
    CREATE TABLE res_partner (id int PRIMARY KEY, name varchar, is_company boolean, email varchar,
        country_id int REFERENCES res_country, complete_name varchar);
    CREATE TABLE res_company (id int PRIMARY KEY, name varchar NOT NULL UNIQUE, partner_id int REFERENCES res_partner);
    CREATE TABLE ir_attachment (id int PRIMARY KEY, store_fname varchar, mimetype varchar, checksum varchar,
        file_size int, url varchar, write_uid int);
    CREATE SEQUENCE res_partner_id_seq START 7;
    CREATE EXTENSION pg_trgm;
    CREATE INDEX ON res_partner USING gin (name gin_trgm_ops);
    INSERT INTO res_country VALUES (1, 'FR');
    INSERT INTO res_partner SELECT n, 'Person of Production ' || n, false, 'person' || n || '@hospital.test', 1, 'x'
        FROM generate_series(1, 500) n;
    INSERT INTO res_company VALUES (1, 'Riverside Hospital', 1);
    INSERT INTO ir_config_parameter VALUES (1, 'careops.identity', 'riverside/prod'),
        (2, 'careops.modules', '{"base": "1"}'), (3, 'careops.release', '19.0.0-2');
"""
EXPORT_STEPS = ("wait for the isolated server", "snapshot", "load", "files", "statistics", "mark", "done")
MASK_STEPS = (
    *("target", "wait for the export", "catalogue", "canaries", "files", "compile"),
    *("transfer: read schema", "transfer: create tables", "transfer: copy", "transfer: sequences"),
    *("transfer: constraints", "transfer: analyze", "judge the data", "mark masked", "wait for the adoption"),
    *("verify", "mark verified", "done"),
)
POD = Pod(run=RUN, source_identity="riverside/prod", target_identity="riverside/training", wait_seconds=30)


def of(server: Server, user: str, database: str, name: str = "") -> Endpoint:
    """Return a database as a role of the run reaches it."""
    return Endpoint(conninfo=f"host={server.sockets} user={user} dbname={database}", server=name)


def make_roles(server: Server) -> None:
    """Make the roles of prod, of the isolated server and of training."""
    with server.connect() as connection:
        connection.execute("CREATE ROLE refresh_source LOGIN IN ROLE pg_read_all_data")
        connection.execute("CREATE ROLE source LOGIN")
        connection.execute("CREATE ROLE odoo LOGIN")
        connection.execute("CREATE ROLE refresh LOGIN CREATEDB IN ROLE odoo")


@dataclass(frozen=True, kw_only=True)
class World:
    """The ends of a run.

    Attributes:
        server: The isolated server; also prod's and training's where a test gives none of their own.
        data: Prod's filestore.
        prods: Prod's own server.
        trainings: Training's own server.
    """

    server: Server
    data: Path
    prods: Server | None = None
    trainings: Server | None = None

    @property
    def prod(self) -> Server:
        return self.prods or self.server

    @property
    def training(self) -> Server:
        return self.trainings or self.server

    def execute(self, database: str, *statements: str, server: Server | None = None) -> None:
        with (server or self.server).connect(database) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def rows(self, database: str, query: str, *, server: Server | None = None) -> list[tuple]:
        with (server or self.server).connect(database) as connection:
            return connection.execute(query.encode()).fetchall()

    def next(self, query: str) -> list[tuple]:
        """Return rows of training's next database."""
        return self.rows(DATABASE, query, server=self.training)

    def databases(self) -> dict[str, int]:
        """Return training's databases, by name, with what tells them apart."""
        return dict(self.rows("postgres", "SELECT datname, oid FROM pg_database", server=self.training))

    def start_over(self) -> None:
        """Make production, an empty isolated database, and training's own; on one server `odoo` plays both."""
        for server in {id(each): each for each in (self.server, self.prod, self.training)}.values():
            names = (DATABASE, "source", "odoo")
            drops = [f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in names]
            self.execute("postgres", *drops, "CREATE DATABASE odoo OWNER odoo", server=server)
        self.empty_isolated()
        self.execute("odoo", *COMPANY.split(";\n"), server=self.prod)
        files = f"INSERT INTO ir_attachment (id, store_fname) VALUES (1, '{NAME}'), (2, '../../etc')"
        self.execute("odoo", files, server=self.prod)
        (self.data / ".careops-identity").write_text("riverside/prod\n")
        (self.data / "filestore/odoo/ab").mkdir(parents=True, exist_ok=True)
        (self.data / "filestore/odoo" / NAME).write_bytes(b"abc")

    def empty_isolated(self) -> None:
        """The sidecar's server ends with its pod, and the next run has a new one."""
        drop = "DROP DATABASE IF EXISTS source WITH (FORCE)"
        self.execute("postgres", drop, "CREATE DATABASE source OWNER source")

    def export(self, step: Callable[[str], None], wait: float = 10) -> None:
        source = LiveSnapshot(
            database=of(self.prod, "refresh_source", "odoo", PROD),
            data=self.data,
            identity="riverside/prod",
            tools=tools(self.server),
        )
        isolated = of(self.server, "source", "source", ISOLATED)
        Export(run=RUN, source=source, isolated=isolated, inspect=inspect, wait_seconds=wait, step=step).go()

    def mask(self, step: Callable[[str], None], **changes: Any) -> None:
        given = {
            "pod": POD,
            "isolated": of(self.server, "source", "source", ISOLATED),
            "target": Target(server=of(self.training, "refresh", "postgres", TRAINING), run=RUN),
            "catalogues": (),
            "parts": Parts(),
            "tools": tools(self.server),
            "step": step,
            "patience": Patience(never=30, gone=3, say=lambda _: None),
            **changes,
        }
        Mask(**given).go()


@dataclass(kw_only=True)
class Parts:
    """Stands for `parts.Proof`: one file, and a verdict that the test gives."""

    findings: Sequence[str] = ()
    certificate: Mapping[str, Any] | None = field(default_factory=lambda: {"run": RUN})

    def plant(self, source: psycopg.Connection[Any], schema: object) -> None:
        assert source
        assert schema

    def place_files(self, source: psycopg.Connection[Any], target: psycopg.Connection[Any]) -> int:
        source.execute(FILES_TABLE.encode())
        return len(target.execute("SELECT FROM careops_refresh.file").fetchall())

    def judge_data(self, *_: object) -> Sequence[str]:
        return ()

    def verify(self, *_: object) -> tuple[Mapping[str, Any] | None, Sequence[str]]:
        return (None if self.findings else self.certificate), self.findings


def killed_at(step: str, act: Callable[[Callable[[str], None]], None]) -> str:
    """Run a program in a process of its own that is killed, as with SIGKILL from outside, when it begins a step.

    Returns:
        "killed", "done", or what it ended with.
    """

    def watching(text: str) -> None:
        if text.startswith(step):
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        status = 1
        try:
            act(watching)
            status = 0
        except BaseException as error:
            print(told(error), file=sys.stderr)
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return "killed" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL else f"status {status}"


class Adoption(threading.Thread):
    """Plays adopt: is present once the database is this run's, and leaves a mark when it is masked."""

    def __init__(self, world: World, answer: Step = Step.ADOPTED) -> None:
        super().__init__(daemon=True)
        self.world, self.answer, self.seen = world, answer, list[str]()
        self.stop = threading.Event()
        self.start()

    def run(self) -> None:
        endpoint = of(self.world.training, "refresh", DATABASE)
        while not self.stop.wait(0.1):
            try:
                with psycopg.connect(endpoint.conninfo, autocommit=True, options="-c role=odoo") as connection:
                    self.attend(connection)
            except psycopg.Error:
                continue

    def attend(self, connection: psycopg.Connection[Any]) -> None:
        while not self.stop.wait(0.1):
            state = marks.read(connection).of_run(RUN)
            if not state.steps:
                return
            marks.be_present(connection, Program.ADOPT)
            self.seen += [step for step in state.steps if step not in self.seen]
            if Step.FAILED in state.steps or Step.VERIFIED in state.steps:
                self.stop.set()
                return
            if Step.MASKED in state.steps and self.answer not in state.steps:
                marks.write(connection, self.answer, RUN, {"why": "the adoption says so"})

    def __enter__(self) -> Adoption:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.join(10)


def exported_state(world: World) -> dict[str, Any]:
    return {
        "marks": world.rows("source", "SELECT run, detail->>'files' FROM careops_source.export"),
        "files": world.rows("source", "SELECT * FROM careops_source.files"),
        "partners": world.rows("source", "SELECT count(*), count(DISTINCT name) FROM res_partner"),
        "indexes": world.rows("source", "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'"),
    }


EXPORTED = {
    "marks": [(RUN, "1")],
    "files": [(NAME, 3, "text", None, None, None)],
    "partners": [(500, 500)],
    "indexes": [(7,)],
}


def target_state(world: World) -> dict[str, Any]:
    return {
        "partners": world.next("SELECT count(*), count(DISTINCT name) > 100 FROM res_partner"),
        "real": world.next("SELECT count(*) FROM res_partner WHERE name LIKE 'Person of Production%'"),
        "owner": world.next("SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname ~ '^res_'"),
        "enters": world.next(f"SELECT has_database_privilege('odoo', '{DATABASE}', 'CONNECT')"),
        "marks": world.next("SELECT step FROM careops_refresh.state ORDER BY at"),
    }


MASKED = {
    "partners": [(500, True)],
    "real": [(0,)],
    "owner": [("odoo",)],
    "enters": [(False,)],
    "marks": [("started",), ("masked",), ("adopted",), ("verified",)],
}

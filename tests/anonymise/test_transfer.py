"""The masked transfer: everything arrives, constraints prove it, and a failure tells where and never what."""
# ruff: noqa: S608 - statements of made-up rows

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator

import psycopg
import pytest

from operations.anonymise.catalogue.loader import load
from operations.anonymise.faults import TransferError, of_program
from operations.anonymise.rules.compile import Run, compile_tables, session_settings
from operations.anonymise.rules.key import RunKey
from operations.anonymise.rules.plain import FILES_TABLE
from operations.anonymise.schema import read_schema
from operations.anonymise.sessions import Endpoint
from operations.anonymise.transfer import transfer
from tests.anonymise.masking import TODAY, Source, catalogue, source, tools
from tests.anonymise.support import Server


@pytest.fixture
def base(server: Server) -> Iterator[Source]:
    with source(server, "from_here") as made:
        yield made


@pytest.fixture
def target(server: Server) -> Iterator[str]:
    with source(server, "to_there") as made:
        yield made.database


def rows(server: Server, database: str, query: str) -> list[tuple]:
    with server.connect(database) as connection:
        return connection.execute(query.encode()).fetchall()


def keeping(base: Source, **rules: str) -> dict[str, str]:
    found = rows(
        base.server,
        base.database,
        "SELECT table_schema, table_name, column_name FROM information_schema.columns "
        "WHERE table_schema !~ '^(pg_|information_schema|careops_)'",
    )
    kept = {(f"{t}.{c}" if s == "public" else f"{s}.{t}.{c}"): "keep" for s, t, c in found}
    return kept | {name.replace("__", "."): rule for name, rule in rules.items()}


def test_every_shipped_rule_carries_a_whole_odoo_over(server: Server, demo: str, target: str):
    """The demo company, by the shipped catalogue: counts agree and every constraint of Odoo holds."""
    with server.copy(demo) as name:
        with server.connect(name) as connection:
            connection.execute(FILES_TABLE.encode())
            schema = read_schema(connection)
            emails = {row[0] for row in connection.execute("SELECT email FROM res_partner WHERE email <> ''")}
            constraints = connection.execute(
                "SELECT count(*) FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace "
                "WHERE n.nspname = 'public'"
            ).fetchall()
            indexes = connection.execute("SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'").fetchall()
        run = Run(schema=schema, catalogue=load())
        done = transfer(
            Endpoint(conninfo=server.conninfo(name)),
            Endpoint(conninfo=server.conninfo(target)),
            compile_tables(run),
            session_settings(RunKey(), run, TODAY),
            tools(server),
        )
        assert structure(server, target) == structure(server, name)
        source_partners = rows(server, name, "SELECT count(*) FROM res_partner")[0][0]
    masked = rows(server, target, "SELECT email, email_normalized FROM res_partner WHERE email <> ''")
    assert done.rows["res_partner"] == source_partners
    assert rows(server, target, "SELECT count(*) FROM res_partner") == [(source_partners,)]
    # ir_act_window and four more inherit from ir_actions: their rows are theirs alone, however they are asked for.
    ids = "SELECT count(*), count(DISTINCT id) FROM ir_actions"
    assert len(set(rows(server, target, ids)[0])) == 1
    assert not emails & {row[0] for row in masked}
    assert all(email == normalized for email, normalized in masked)
    assert rows(server, target, "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'") == indexes
    assert (
        rows(
            server,
            target,
            "SELECT count(*) FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace "
            "WHERE n.nspname = 'public'",
        )
        == constraints
    )
    assert rows(server, target, "SELECT count(*) FROM pg_constraint WHERE NOT convalidated") == [(0,)]
    assert rows(server, target, "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^careops_'") == [(0,)]


def test_tables_of_every_kind_arrive(base: Source, target: str):
    base.execute(
        "CREATE SCHEMA other",
        "CREATE TABLE nothing (a text)",
        "CREATE TABLE no_key (a text)",
        "CREATE UNLOGGED TABLE fast (a text)",
        "CREATE TABLE by_year (y int, a text) PARTITION BY RANGE (y)",
        "CREATE TABLE by_year_1 PARTITION OF by_year FOR VALUES FROM (0) TO (2000)",
        "CREATE TABLE by_year_2 PARTITION OF by_year FOR VALUES FROM (2000) TO (3000)",
        'CREATE TABLE other."Quoted ""one""" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gone int, "A b" text)',
        'ALTER TABLE other."Quoted ""one""" DROP COLUMN gone',
        "CREATE TABLE computed (a int, b int GENERATED ALWAYS AS (a * 2) STORED)",
        "CREATE VIEW seen AS SELECT a FROM no_key",
        "CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM no_key",
        "INSERT INTO no_key SELECT 'row ' || i FROM generate_series(1, 10) i",
        "INSERT INTO fast VALUES ('x')",
        "INSERT INTO by_year VALUES (1999, 'a'), (2001, 'b')",
        'INSERT INTO other."Quoted ""one""" ("A b") VALUES (\'tab\t, newline\n, \\ and "\'), (NULL)',
        "INSERT INTO computed (a) VALUES (21)",
    )
    done = base.transfer(target, catalogue(keeping(base)))
    server = base.server
    assert done.rows["nothing"] == 0
    assert done.rows["no_key"] == 10
    assert rows(server, target, "SELECT a FROM fast") == [("x",)]
    assert rows(server, target, "SELECT a FROM by_year_2") == [("b",)]
    quoted = 'SELECT id, "A b" FROM other."Quoted ""one""" ORDER BY id'
    assert rows(server, target, quoted) == rows(server, base.database, quoted)
    assert rows(server, target, "SELECT b FROM computed") == [(42,)]
    assert rows(server, target, "SELECT count(*) FROM seen") == [(10,)]
    assert rows(server, target, "SELECT n FROM kept") == [(10,)]
    assert rows(server, target, 'INSERT INTO other."Quoted ""one""" ("A b") VALUES (\'z\') RETURNING id') == [(3,)]


def test_names_under_collations_of_their_own_arrive_sorted_and_unique_as_they_were(base: Source, target: str):
    base.execute(
        "CREATE COLLATION french (provider = icu, locale = 'fr-CA')",
        "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
        "CREATE TABLE people (name text COLLATE french, login text COLLATE blind UNIQUE, mail text COLLATE blind)",
        "INSERT INTO people VALUES ('coté', 'ada', 'Ada@x.org'), ('côte', 'grace', 'ada@x.org'), ('cote', 'a', NULL)",
        "CREATE INDEX ON people (name)",
    )
    base.transfer(target, catalogue(keeping(base, people__mail="email")))
    ordered = "SELECT name FROM people ORDER BY name"
    assert rows(base.server, target, ordered) == rows(base.server, base.database, ordered)
    assert rows(base.server, target, "SELECT name FROM people ORDER BY name")[1] == ("côte",), "accents from the end"
    with pytest.raises(psycopg.errors.UniqueViolation):
        rows(base.server, target, "INSERT INTO people VALUES ('x', 'ADA') RETURNING 1")
    masked = "SELECT count(*) FROM people WHERE mail COLLATE \"C\" NOT LIKE '%x.org'"
    assert rows(base.server, target, masked) == [(2,)]


def test_a_collation_that_the_target_lacks_is_named_with_what_to_do(base: Source, target: str):
    base.execute(
        "SET allow_system_table_mods = on",
        "CREATE COLLATION pg_catalog.elsewhere (provider = icu, locale = 'fr')",
        "CREATE TABLE people (name text COLLATE pg_catalog.elsewhere)",
        "INSERT INTO people VALUES ('Byron')",
    )
    with pytest.raises(
        TransferError, match=r'collation "pg_catalog.elsewhere" for encoding "UTF8" does not exist'
    ) as told:
        base.transfer(target, catalogue(keeping(base)))
    assert told.value.step == "create tables"
    assert "the same release as its source" in str(told.value)
    assert "Byron" not in str(told.value)


def test_neither_owners_nor_grants_comments_or_statistics_travel(base: Source, target: str):
    base.execute(
        "CREATE TABLE t (a text)",
        "COMMENT ON COLUMN t.a IS 'Mrs. Byron asked for this'",
        "GRANT SELECT ON t TO PUBLIC",
        "INSERT INTO t SELECT 'Byron' FROM generate_series(1, 500)",
        "ANALYZE t",
    )
    base.transfer(target, catalogue(keeping(base, t__a="filler")))
    server = base.server
    assert rows(server, target, "SELECT description FROM pg_description WHERE objoid = 't'::regclass") == []
    assert rows(server, target, "SELECT relacl FROM pg_class WHERE oid = 't'::regclass") == [(None,)]
    values = rows(server, target, "SELECT most_common_vals::text FROM pg_stats WHERE tablename = 't'")
    assert values
    assert "Byron" not in str(values)


def test_sequences_go_on_where_the_source_is(base: Source, target: str):
    base.execute("CREATE SEQUENCE used", "CREATE SEQUENCE fresh START 7", "SELECT nextval('used'), nextval('used')")
    base.transfer(target, catalogue(keeping(base)))
    assert rows(base.server, target, "SELECT nextval('used'), nextval('fresh')") == [(3, 7)]


def test_a_table_that_outweighs_the_rest_is_split_and_loses_no_row(base: Source, target: str):
    base.execute(
        "CREATE TABLE big (id int PRIMARY KEY, a text)",
        "INSERT INTO big SELECT i, repeat('x', 100) FROM generate_series(1, 60000) i",
        "DELETE FROM big WHERE id % 7 = 0",
    )
    done = base.transfer(target, catalogue(keeping(base, big__a="filler"), {"big": "id <> 1"}))
    expected = rows(base.server, base.database, "SELECT count(*) FROM big WHERE id <> 1")
    assert rows(base.server, target, "SELECT count(*) FROM big") == expected == [(done.rows["big"],)]


def test_rows_written_while_it_runs_are_not_seen(base: Source, target: str):
    base.execute("CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)")
    run = base.run(catalogue(keeping(base)))

    def step(name: str) -> None:
        if name == "copy":
            base.execute("INSERT INTO t VALUES (2)")

    transfer(
        Endpoint(conninfo=base.server.conninfo(base.database)),
        Endpoint(conninfo=base.server.conninfo(target)),
        compile_tables(run),
        session_settings(base.key, run, TODAY),
        tools(base.server),
        on_step=step,
    )
    assert rows(base.server, target, "SELECT a FROM t") == [(1,)]


def test_a_row_that_the_target_refuses_is_told_by_number_and_never_by_value(base: Source, target: str):
    base.execute(
        "CREATE TABLE t (id int, a text NOT NULL)",
        "INSERT INTO t SELECT i, 'Byron ' || i FROM generate_series(1, 9) i",
        "ALTER TABLE t ADD CONSTRAINT starts CHECK (a LIKE 'Byron%')",
    )
    with pytest.raises(TransferError) as caught:
        base.transfer(target, catalogue(keeping(base, t__a="filler")))
    message = str(caught.value)
    assert (caught.value.step, caught.value.table, caught.value.row) == ("copy", "t", 1)
    assert "CheckViolation on starts" in message
    assert "Byron" not in message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_rows_that_break_a_unique_index_stop_it_at_the_constraints(base: Source, target: str):
    base.execute("CREATE TABLE t (a text UNIQUE)", "INSERT INTO t VALUES ('Byron'), ('Keats')")
    with pytest.raises(TransferError) as caught:
        base.transfer(target, catalogue(keeping(base, t__a="constant('secret-value')")))
    assert caught.value.step == "constraints"
    assert "t_a_key" in str(caught.value)
    assert "secret-value" not in str(caught.value)


def test_a_row_that_points_nowhere_stops_it_at_the_constraints(base: Source, target: str):
    base.execute(
        "CREATE TABLE p (id int PRIMARY KEY)",
        "CREATE TABLE c (p int CONSTRAINT to_parent REFERENCES p)",
        "INSERT INTO p VALUES (1), (2)",
        "INSERT INTO c VALUES (1), (2)",
    )
    with pytest.raises(TransferError, match="ForeignKeyViolation on to_parent") as caught:
        base.transfer(target, catalogue(keeping(base), {"p": "id <> 2"}))
    assert caught.value.step == "constraints"


def structure(server: Server, database: str) -> list[str]:
    """Return what pg_dump says of everything that is made after the rows, in an order that is the same everywhere."""
    only = ("--schema-only", "--section=post-data", "--no-owner", "--no-privileges", "--no-comments")
    text = server.run("pg_dump", *only, "--exclude-schema=careops_*", "--restrict-key=same", database)
    return sorted(part for part in text.split("\n\n") if not part.startswith("-- Dump"))


def test_indexes_and_constraints_of_every_kind_are_the_source_s(base: Source, target: str):
    """Those that are made here, and those that are left to pg_restore."""
    base.execute(
        "CREATE EXTENSION btree_gist",
        "CREATE SCHEMA other",
        "CREATE TABLE p (id int PRIMARY KEY, a text, b text, room int, at tsrange, "
        "CONSTRAINT pair UNIQUE NULLS NOT DISTINCT (a) INCLUDE (b) DEFERRABLE INITIALLY DEFERRED, "
        "CONSTRAINT alone EXCLUDE USING gist (room WITH =, at WITH &&))",
        "CREATE INDEX plain ON p (b)",
        "CREATE INDEX part ON p USING btree (lower(a) DESC) WHERE b IS NOT NULL",
        "CREATE INDEX roomy ON p (room) WITH (fillfactor = 70)",
        "CREATE INDEX clustered ON p (a, b)",
        "ALTER TABLE p CLUSTER ON clustered",
        "CREATE INDEX looked_at ON p ((lower(b)))",
        "ALTER INDEX looked_at ALTER COLUMN 1 SET STATISTICS 500",
        'CREATE TABLE other."C ""c""" (id int, p int, q int, CONSTRAINT named PRIMARY KEY (id) WITH (fillfactor = 60))',
        'ALTER TABLE other."C ""c""" ADD CONSTRAINT "To p" FOREIGN KEY (p) REFERENCES p ON DELETE SET NULL',
        'ALTER TABLE other."C ""c""" ADD CONSTRAINT self FOREIGN KEY (q) REFERENCES other."C ""c""" DEFERRABLE',
        "CREATE TABLE big (id int PRIMARY KEY, p int REFERENCES p, q int REFERENCES p, t text)",
        "CREATE INDEX ON big (t)",
        "CREATE TABLE loose (p int)",
        "ALTER TABLE loose ADD CONSTRAINT unproved FOREIGN KEY (p) REFERENCES p NOT VALID",
        "CREATE TABLE same (id int NOT NULL UNIQUE)",
        "ALTER TABLE same REPLICA IDENTITY USING INDEX same_id_key",
        "CREATE TABLE years (y int PRIMARY KEY, p int REFERENCES p) PARTITION BY RANGE (y)",
        "CREATE TABLE years_1 PARTITION OF years FOR VALUES FROM (0) TO (2000)",
        "CREATE INDEX ON years (p)",
        "CREATE MATERIALIZED VIEW kept AS SELECT id FROM p",
        "CREATE UNIQUE INDEX ON kept (id)",
        "CREATE VIEW grouped AS SELECT id, a FROM p GROUP BY id",
        "INSERT INTO p (id, a) SELECT i, 'row ' || i FROM generate_series(1, 3) i",
        "INSERT INTO big SELECT i, i % 3 + 1, NULL, repeat('x', 100) FROM generate_series(1, 20000) i",
    )
    base.transfer(target, catalogue(keeping(base)))
    server = base.server
    made = structure(server, target)
    assert made == structure(server, base.database)
    assert [what for what in ("CLUSTER", "REPLICA", "STATISTICS", "EXCLUDE", "ATTACH") if what not in str(made)] == []
    assert rows(server, target, "SELECT conname FROM pg_constraint WHERE NOT convalidated") == [("unproved",)]


def test_a_row_of_a_large_table_that_points_nowhere_stops_it_too(base: Source, target: str):
    """Its keys are added first and proved later, so this is another statement."""
    base.execute(
        "CREATE TABLE p (id int PRIMARY KEY)",
        "CREATE TABLE c (p int CONSTRAINT to_parent REFERENCES p, t text)",
        "INSERT INTO p VALUES (1), (2)",
        "INSERT INTO c SELECT i % 2 + 1, repeat('x', 100) FROM generate_series(1, 20000) i",
    )
    with pytest.raises(TransferError, match="ForeignKeyViolation on to_parent") as caught:
        base.transfer(target, catalogue(keeping(base), {"p": "id <> 2"}))
    assert (caught.value.step, caught.value.table) == ("constraints", "c")


def test_a_value_that_a_rule_cannot_read_is_not_told(base: Source, target: str):
    base.execute("CREATE TABLE t (a text)", "INSERT INTO t VALUES ('1'), ('Byron')")
    lines = catalogue(keeping(base), {"t": "a::int > 0"})
    with pytest.raises(TransferError) as caught:
        base.transfer(target, lines)
    assert caught.value.table == "t"
    assert "Byron" not in str(caught.value)
    assert "Byron" not in base.server.run("psql", "-XAtc", "SELECT pg_read_file('/tmp/log')", "postgres")


def test_a_database_out_of_reach_is_told(base: Source):
    with pytest.raises(TransferError, match="connect: PostgreSQL reports OperationalError"):
        base.transfer("nowhere", catalogue(keeping(base)))


def test_a_database_that_holds_something_is_refused(base: Source, target: str):
    base.execute("CREATE TABLE t (a int)")
    with base.server.connect(target) as connection:
        connection.execute("CREATE TABLE mine (a int)")
    with pytest.raises(TransferError, match="the target has 1 tables already"):
        base.transfer(target, catalogue(keeping(base)))


def test_a_signal_ends_it_before_the_last_table(base: Source, target: str):
    base.execute(
        *(f"CREATE TABLE t{number} (a text)" for number in range(4)),
        *(f"INSERT INTO t{number} SELECT repeat('x', 500) FROM generate_series(1, 200000) i" for number in range(4)),
    )
    lines = catalogue(keeping(base, **{f"t{number}__a": "token" for number in range(4)}))

    class Asked(BaseException):
        """What a signal handler raises."""

    def handler(*_: object) -> None:
        raise Asked

    before = signal.signal(signal.SIGALRM, handler)
    try:
        run = base.run(lines)
        with pytest.raises(Asked):
            transfer(
                Endpoint(conninfo=base.server.conninfo(base.database)),
                Endpoint(conninfo=base.server.conninfo(target)),
                compile_tables(run),
                session_settings(base.key, run, TODAY),
                tools(base.server),
                jobs=1,
                on_step=lambda name: signal.setitimer(signal.ITIMER_REAL, 0.3) if name == "copy" else None,
            )
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    written = rows(base.server, target, "SELECT " + " + ".join(f"(SELECT count(*) FROM t{n})" for n in range(4)))
    assert written[0][0] < 800_000


def test_messages_of_programs_are_passed_on_only_where_they_hold_no_value():
    output = (
        'pg_restore: error: could not create unique index "login_key"\nDETAIL:  Key (login)=(byron@real.org) is '
        'duplicated.\nERROR:  invalid input syntax for type integer: "Byron"'
    )
    message = str(of_program("constraints", "pg_restore", 1, output))
    assert 'could not create unique index "login_key"' in message
    assert "yron" not in message


def test_memory_does_not_grow_with_the_rows(base: Source, target: str):
    base.execute("CREATE TABLE t (a text)", "INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 100000)")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    base.transfer(target, catalogue(keeping(base, t__a="filler")))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024, "KiB, for 100 MB of rows"

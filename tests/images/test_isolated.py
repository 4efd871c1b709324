"""The throw-away PostgreSQL of a refresh: TLS only, silent, on a read-only root; and the refresh image."""

from __future__ import annotations

import json
import os
import subprocess
import time
from datetime import UTC, datetime

import pytest

from odoo_image import specs
from operations.anonymise.snapshot import _DUMP, _RESTORE
from operations.refresh.keys import new_password, server_files
from tests.images.support import ODOO_UID, POSTGRESQL_UID, paths, unpack
from toolchain.images.sandbox import Bind, Inside, Session, Tree, scratch

pytestmark = pytest.mark.live

HOST = "refresh-mask.riverside-refresh.svc"
PROGRAM = "/usr/local/bin/careops-isolated-postgresql"
BIN = f"/usr/lib/postgresql/{specs.POSTGRESQL_MAJOR}/bin"
PATH = f"{BIN}:/usr/local/bin:/usr/bin:/bin"
RUN = "20261124t113000"
ENVIRONMENT = {"PATH": PATH, "CAREOPS_JOB": f"refresh-mask-{RUN}", "CAREOPS_MEMORY_BYTES": str(512 << 20)}
# What a person's data would look like in a log, in places where PostgreSQL quotes it.
SECRET = "Theodora Oglethorpe"


class Isolated:
    """The sandbox, with the server of one test in it."""

    def __init__(self, folder, session):
        self.folder, self.session, self.tree = folder, session, str(folder / "postgresql")
        self.password = (folder / "tls" / "password").read_text()

    def program(self, *arguments, **environment):
        argv = (PROGRAM, *arguments)
        return Inside(tree=self.tree, argv=argv, uid=POSTGRESQL_UID, env={**ENVIRONMENT, **environment})

    def fresh(self, name):
        """Return a new, empty data folder, as seen inside."""
        place = self.folder / "data" / name
        place.mkdir()
        os.chown(place, POSTGRESQL_UID, POSTGRESQL_UID)
        return f"/var/lib/postgresql/{name}"

    def sql(self, statement, *, user="source", database="source", password=None, **conninfo):
        given = {"host": HOST, "hostaddr": "127.0.0.1", "port": "5432", "sslmode": "verify-full"}
        words = {**given, "sslrootcert": "/run/careops/tls/ca.crt", **conninfo}
        text = " ".join(f"{key}={value}" for key, value in {**words, "user": user, "dbname": database}.items())
        argv = (f"{BIN}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", text, "-c", statement)
        env = {"PGPASSWORD": password or self.password}
        return self.session.run(Inside(tree=self.tree, argv=argv, uid=POSTGRESQL_UID, env=env))


@pytest.fixture(scope="module")
def world():
    with scratch(paths().cache, "test-isolated") as folder:
        unpack("postgresql", folder / "postgresql")
        for name in ("data", "tls"):
            (folder / name).mkdir()
        os.chown(folder / "data", POSTGRESQL_UID, POSTGRESQL_UID)
        files = server_files(HOST, datetime.now(UTC))
        held = {"tls.crt": files.certificate, "tls.key": files.key, "ca.crt": files.authority}
        for name, content in {**held, "password": new_password().encode()}.items():
            (folder / "tls" / name).write_bytes(content)
            # As a kubelet mounts a Secret for the pod's group: root's, readable by the group.
            os.chown(folder / "tls" / name, 0, POSTGRESQL_UID)
            (folder / "tls" / name).chmod(0o440)
        tree = Tree(
            root=str(folder / "postgresql"),
            binds=(
                Bind(source=str(folder / "data"), target="/var/lib/postgresql"),
                Bind(source=str(folder / "tls"), target="/run/careops/tls"),
            ),
        )
        with Session([tree]) as session:
            yield Isolated(folder, session)


@pytest.fixture(scope="module")
def server(world):
    """Start it as its pod does; yield it with its log."""
    before = tree_state(world)
    log = world.folder / "log"
    inside = world.program(CAREOPS_DATA=world.fresh("served"))
    with log.open("wb") as output:
        os.fchown(output.fileno(), POSTGRESQL_UID, POSTGRESQL_UID)
        process = subprocess.Popen(world.session.command(inside), stdout=output, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 60
            while world.session.run(world.program("ready")).returncode:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            world.log, world.before = log, before
            yield world
        finally:
            process.terminate()
            process.wait()


def tree_state(world):
    """Return what is in the image's own part of the tree: with a read-only root nothing of it may change."""
    found = {}
    for place, folders, files in os.walk(world.tree):
        folders[:] = [name for name in folders if not os.path.ismount(f"{place}/{name}")]
        for name in files:
            status = os.lstat(f"{place}/{name}")
            found[f"{place}/{name}"] = (status.st_mtime_ns, status.st_size)
    return found


# -- what serves ---------------------------------------------------------------------------------------------------


def test_it_writes_nothing_outside_its_own_volumes(server):
    assert server.sql("CREATE TABLE somewhere AS SELECT generate_series(1, 1000) AS n").returncode == 0
    mounted = (f"{server.tree}/{name}/" for name in ("proc", "dev", "tmp", "run", "var/lib/postgresql"))
    prefixes = tuple(mounted)
    now = {path: state for path, state in tree_state(server).items() if not path.startswith(prefixes)}
    assert now == {path: state for path, state in server.before.items() if not path.startswith(prefixes)}
    assert len(now) > 1000, "the comparison must have had something to compare"


def test_a_verified_encrypted_connection_is_served_and_the_role_owns_its_database(server):
    done = server.sql("SELECT ssl, version, current_user FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    assert done.stdout.strip() == "t|TLSv1.3|source", done.stderr
    owner = server.sql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'source'")
    assert owner.stdout.strip() == "source"


def test_a_connection_in_clear_is_refused(server):
    done = server.sql("SELECT 1", sslmode="disable")
    assert done.returncode != 0
    assert "pg_hba.conf rejects connection" in done.stderr
    assert "no encryption" in done.stderr


def test_a_server_with_another_authority_is_not_taken_for_it(server):
    other = server_files(HOST, datetime.now(UTC)).authority
    (server.folder / "tls" / "other.crt").write_bytes(other)
    done = server.sql("SELECT 1", sslrootcert="/run/careops/tls/other.crt")
    assert done.returncode != 0
    assert "certificate verify failed" in done.stderr


@pytest.mark.parametrize(
    ("user", "database", "password"),
    [
        ("source", "source", "wrong"),
        ("postgres", "source", None),
        ("postgres", "postgres", None),
        ("source", "postgres", None),
    ],
)
def test_nobody_else_and_nothing_else_is_reached(server, user, database, password):
    assert server.sql("SELECT 1", user=user, database=database, password=password).returncode != 0


def test_no_socket_lets_anybody_in_without_a_password(server):
    assert server.sql("SHOW unix_socket_directories").stdout.strip() == ""


def test_it_says_which_run_it_belongs_to(server):
    assert server.sql("SHOW cluster_name").stdout.strip() == RUN


def test_it_sorts_as_prod_does_and_checks_its_pages(server):
    row = server.sql(
        "SELECT datlocprovider, datlocale, pg_encoding_to_char(encoding), current_setting('data_checksums')"
        " FROM pg_database WHERE datname = 'source'"
    )
    assert row.stdout.strip() == "b|C.UTF-8|UTF8|on"


def test_no_statement_parameter_or_row_reaches_its_log(server):
    statements = (
        f"SELECT '{SECRET}'",
        f'SELECT 1/0 AS "{SECRET}"',
        "CREATE TABLE people (name text PRIMARY KEY)",
        *(f"INSERT INTO people VALUES ('{SECRET}')",) * 2,  # noqa: S608 - the second one breaks the key
        f"DO $$ BEGIN RAISE WARNING '%', '{SECRET}'; RAISE LOG '%', '{SECRET}'; END $$",
        f"SELECT '{SECRET}'::integer",
        f"COPY people FROM PROGRAM 'echo {SECRET}'",
        f"SET log_statement = 'all'; SELECT '{SECRET}'",
    )
    outcomes = [server.sql(statement) for statement in statements]
    assert any(SECRET in done.stderr for done in outcomes), "PostgreSQL must have had something to quote"
    log = server.log.read_text()
    assert "careops-isolated-postgresql: run" in log
    assert SECRET not in log
    assert server.password not in log


def test_sessions_may_not_turn_the_log_on(server):
    for setting in ("log_statement = 'all'", "log_min_messages = 'debug1'", "log_min_duration_statement = 0"):
        assert "permission denied" in server.sql(f"SET {setting}").stderr, setting


def test_the_role_can_do_what_a_restore_needs(server):
    done = server.sql("CREATE EXTENSION pg_trgm; CREATE EXTENSION unaccent; CREATE SCHEMA careops_mask; ANALYZE")
    assert done.returncode == 0, done.stderr


def test_the_role_reads_no_file_and_starts_no_program(server):
    for statement in ("SELECT pg_read_file('/run/careops/tls/tls.key')", "COPY (SELECT 1) TO PROGRAM 'cat'"):
        assert "permission denied" in server.sql(statement).stderr


# -- what is restored into it --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prod(server):
    """A PostgreSQL as the operator runs prod's: the audit extension is in its database, and a role may read it all."""
    place, sockets = f"{server.fresh('prod')}/cluster", "/var/lib/postgresql"
    options = f"-k {sockets} -c listen_addresses= -c port=5433 -c shared_preload_libraries=pgaudit -c pgaudit.log=ddl"
    script = (
        f"initdb -D {place} -U postgres -A trust --no-sync -E UTF8 --locale=C.UTF-8 >/dev/null && "
        f"pg_ctl -D {place} -l /tmp/prod.log -w -o '{options}' start >/dev/null"
    )
    inside(server, script)
    statements = (
        "CREATE ROLE odoo LOGIN CREATEDB",
        "CREATE ROLE refresh_source LOGIN IN ROLE pg_read_all_data",
        "CREATE DATABASE odoo OWNER odoo",
    )
    for statement in statements:
        inside(server, f'psql -Xq -h {sockets} -p 5433 -U postgres -c "{statement}"')
    content = (
        "CREATE EXTENSION pgaudit; CREATE EXTENSION pg_trgm; CREATE EXTENSION unaccent; SET ROLE odoo; "
        "CREATE TABLE res_partner (id serial PRIMARY KEY, name text); "
        "INSERT INTO res_partner (name) SELECT 'x' FROM generate_series(1, 1000); "
        "CREATE INDEX ON res_partner USING gin (name gin_trgm_ops)"
    )
    inside(server, f'psql -Xq -v ON_ERROR_STOP=1 -h {sockets} -p 5433 -U postgres -d odoo -c "{content}"')
    yield f"host={sockets} port=5433 user=refresh_source dbname=odoo"
    inside(server, f"pg_ctl -D {place} -m immediate stop >/dev/null")


def inside(server, script, **environment):
    """Run a shell script beside the server, as its user."""
    argv = ("/bin/sh", "-c", script)
    env = {"PATH": PATH, **environment}
    done = server.session.run(Inside(tree=server.tree, argv=argv, uid=POSTGRESQL_UID, env=env))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_what_the_export_dumps_of_prod_is_restored_by_a_role_without_rights(server, prod):
    """The operator puts pgaudit into every database; nobody but a superuser may create it, and here nobody is one."""
    target = (
        f"host={HOST} hostaddr=127.0.0.1 dbname=source user=source sslmode=verify-full"
        " sslrootcert=/run/careops/tls/ca.crt"
    )
    dump, restore = " ".join(_DUMP), " ".join(_RESTORE)
    script = f"pg_dump {dump} --dbname='{prod}' | pg_restore {restore} --dbname='{target}'"
    inside(server, script, PGPASSWORD=server.password)
    assert server.sql("SELECT count(*), max(id) FROM res_partner").stdout.strip() == "1000|1000"
    assert server.sql("SELECT nextval('res_partner_id_seq')").stdout.strip() == "1001"
    assert server.sql("SELECT extname FROM pg_extension WHERE extname = 'pgaudit'").stdout.strip() == ""


# -- what does not start -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"CAREOPS_JOB": ""}, "CAREOPS_JOB names no run"),
        ({"CAREOPS_JOB": "refresh-mask-$(id)"}, "CAREOPS_JOB names no run"),
        ({"CAREOPS_MEMORY_BYTES": "lots"}, "CAREOPS_MEMORY_BYTES is no number"),
        ({"CAREOPS_MEMORY_BYTES": "1000"}, "give it at least"),
        ({"CAREOPS_TLS": "/nowhere"}, "/nowhere/tls.crt cannot be read"),
    ],
)
def test_impossible_settings_are_refused_before_anything_is_written(world, changes, said):
    place = world.fresh(f"refused-{abs(hash(said + str(changes)))}")
    done = world.session.run(world.program(CAREOPS_DATA=place, **changes))
    assert done.returncode == 78
    assert said in done.stderr
    assert not list((world.folder / "data" / place.rsplit("/", 1)[1]).iterdir())


def test_a_password_that_would_need_quoting_is_refused_and_not_told(world):
    bad = world.folder / "tls" / "bad"
    bad.mkdir()
    for name in ("tls.crt", "tls.key"):
        (bad / name).write_text("")
    (bad / "password").write_text("a'; DROP ROLE source; -- long enough")
    done = world.session.run(world.program(CAREOPS_DATA=world.fresh("quoted"), CAREOPS_TLS="/run/careops/tls/bad"))
    assert done.returncode == 78
    assert "DROP" not in done.stdout + done.stderr


def test_what_a_killed_server_left_is_not_started_again(world):
    place = world.fresh("left")
    (world.folder / "data" / "left" / "isolated").mkdir()
    done = world.session.run(world.program(CAREOPS_DATA=place))
    assert done.returncode == 78
    assert "a run is never continued" in done.stderr


def test_an_unknown_command_is_refused(world):
    assert world.session.run(world.program("serve")).returncode == 78


# -- the refresh image ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def refresh():
    with scratch(paths().cache, "test-refresh") as folder:
        unpack("refresh", folder)
        with Session([Tree(root=str(folder))]) as session:
            yield lambda *argv: session.run(Inside(tree=str(folder), argv=argv, uid=ODOO_UID))


def test_the_refresh_image_has_psycopg_with_its_speed_ups_and_the_parts_odoo_brings(refresh):
    names = ("psycopg", "cryptography", "PIL", "reportlab", "odoo")
    program = f"import json, psycopg; [__import__(n) for n in {names}]; print(json.dumps(psycopg.pq.__impl__))"
    done = refresh("/usr/bin/python3", "-I", "-c", program)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == "c"


def test_the_refresh_program_tells_what_it_can_do(refresh):
    done = refresh("/usr/local/bin/careops-refresh", "--help")
    assert done.returncode == 0, done.stderr
    assert "export" in done.stdout
    assert "mask" in done.stdout


def test_the_refresh_image_has_the_same_release_of_postgresqls_programs(refresh):
    for name in ("pg_dump", "pg_restore", "psql"):
        done = refresh(f"{BIN}/{name}", "--version")
        assert f" {specs.POSTGRESQL_MAJOR}." in done.stdout

"""Training's PostgreSQL killed and its filestore full while an adoption works; `fake_odoo.py` plays Odoo.

The adoption stops before each step until the test lets it go on: what is done to its surroundings is done then.
"""

from __future__ import annotations

import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.images.adopting import (
    BACK_STEPS,
    OLD,
    PLACEHOLDER,
    STEPS,
    STORED,
    environment,
    masked,
    masking,
    new,
    program,
    start_over,
    state,
    this_checkouts_guard,
)
from tests.images.support import ODOO_UID, SOCKETS, Pod, pod_beside_postgresql, start_postgresql
from tests.sampling import sample
from toolchain.images.sandbox import Inside

pytestmark = pytest.mark.live

MIB = 1 << 20
STORE = 8 * MIB
DATA = "/var/lib/postgresql/data"
OURS = 'File "/opt/careops/'
"""A frame of our own program in a traceback; what Odoo prints of itself is Odoo's."""
STEPPING = """
    import sys
    import careops_odoo.__main__ as command
    say = command.say
    def stepping(text):
        say(text)
        if text.startswith("adopt: ["):
            sys.stdin.readline()
    command.say = stepping
    sys.exit(command.main({argv!r}))
"""
UNNAMEABLE = rb"filestore/odoo/aa/\xff\xfe R\xe9sum\xe9.pdf"


@pytest.fixture(scope="module")
def world() -> Iterator[Pod]:
    """A training whose data folder is a small volume."""
    roles = ("CREATE ROLE odoo LOGIN", "CREATE ROLE refresh LOGIN CREATEDB IN ROLE odoo")
    with pod_beside_postgresql("test-adopt-faults", *roles, prepare=this_checkouts_guard) as pod:
        options = f"size={STORE},uid={ODOO_UID},gid={ODOO_UID}"
        as_root(pod, f"mount -t tmpfs -o {options} tmpfs {pod.tree}/var/lib/odoo")
        yield pod


@pytest.fixture
def training(world: Pod) -> Iterator[Pod]:
    as_root(world, f"rm -rf {world.tree}/var/lib/odoo/* {world.tree}/var/lib/odoo/.careops*")
    yield start_over(world)
    if world.python("import psycopg2; psycopg2.connect(host='/run/postgresql', user='odoo', dbname='odoo')").returncode:
        start(world)


def as_root(pod: Pod, script: str) -> str:
    """Run a script of the machine's own shell among the mounts and processes of the sandbox."""
    done = pod.session.run(Inside(tree="/", argv=("/bin/sh", "-ec", script), uid=0))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def kill(pod: Pod) -> None:
    """End every process of PostgreSQL by SIGKILL, as the end of its container or its node does."""
    as_root(
        pod,
        f"cd {pod.tree}/proc; first=$(head -n 1 {pod.sandbox_postgresql}{DATA}/postmaster.pid); "
        'all="$first $(cat $first/task/$first/children)"; kill -9 $all; for each in $all; do '
        "while [ -d $each ] && ! grep -q '^State:.Z' $each/status; do sleep 0.02; done; done",
    )


def start(pod: Pod) -> None:
    as_root(pod, f"rm -f {pod.sandbox_postgresql}{DATA}/postmaster.pid {pod.tree}{SOCKETS}/.s.PGSQL.5432*")
    start_postgresql(pod, fresh=False)


def files(pod: Pod, script: str) -> str:
    """Run Python in training's data folder, as the pod sees it, and return what it printed."""
    done = pod.python("import os, pathlib\nos.chdir('/var/lib/odoo')\n" + script)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def stepping(
    pod: Pod, run: str, step: str, act: Callable[[], None], *words: str, after: Callable[[], None] = lambda: None
) -> tuple[int, str]:
    """Run the program, and do something before it goes on with a step.

    Args:
        pod: Where.
        run: Which run.
        step: How the step begins; a run that never comes to it fails the test.
        act: Done then.
        words: More words of its command line.
        after: Done when the step has begun.

    Returns:
        Its status and what it said.
    """
    argv = ["adopt", *words]
    text = "import sys; sys.path.insert(0, '/opt/careops')\n" + textwrap.dedent(STEPPING).format(argv=argv)
    env = pod.environment(**environment(run, "rollback" if words else "adopt"))
    inside = Inside(tree=str(pod.tree), argv=("/usr/bin/python3", "-c", text), uid=ODOO_UID, env=env)
    process = subprocess.Popen(
        pod.session.command(inside),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert process.stderr
    assert process.stdin
    said, done = [], False
    for line in process.stderr:
        said.append(line)
        if not line.startswith("careops-odoo: adopt: ["):
            continue
        now = not done and line.split("] ", 1)[1].startswith(step)
        if now:
            act()
            done = True
        process.stdin.write("\n")
        if now:
            after()
    assert done, f"it never came to {step!r}: nothing was tried\n{''.join(said)}"
    return process.wait(timeout=60), "".join(said)


def told(text: str) -> None:
    """What a person reads: what, why and what to do; no traceback, and nothing of a row."""
    assert OURS not in text
    assert "  why: " in text
    assert "  do:  " in text
    assert "Masked 7" not in text


def next_run(pod: Pod, run: str = "8") -> None:
    masked(pod, run, "masked", "verified")
    done = program(pod, run)
    assert done.returncode == 0, done.stderr
    assert state(pod) == new(run)
    assert pod.databases() == {"odoo": True, "odoo_before_refresh": False}


@pytest.mark.parametrize("step", sample(list(dict.fromkeys(STEPS[:-1])), 3))
def test_trainings_server_killed_at_any_step_leaves_the_old_or_the_new_one_and_the_next_run_works(training, step):
    masked(training, "7", "masked", "verified")
    status, text = stepping(training, "7", step, lambda: kill(training))
    start(training)
    swapped = step in STEPS[STEPS.index("swapped") :] and step != "tidy"
    assert state(training) == (new("7") if swapped else OLD)
    if status:
        told(text)
        assert status in {1, 69, 75}
    else:
        assert step in {"swapped", "sessions", "forget files"}, "only what asks PostgreSQL nothing may go on"
    next_run(training)


def test_trainings_server_killed_while_the_swap_waits_leaves_the_old_one(training):
    masked(training, "7", "masked", "verified")
    with somebody_else(training):
        status, text = stepping(training, "7", "swap", lambda: None, after=lambda: (time.sleep(2), kill(training)))
    start(training)
    assert status == 69, text
    told(text)
    assert "training's PostgreSQL ended" in text
    assert state(training) == OLD
    next_run(training)


@contextmanager
def somebody_else(pod: Pod) -> Iterator[None]:
    """A session in training's database that the adoption may not end: its swap waits for it."""
    argv = (
        "/usr/lib/postgresql/17/bin/psql",
        "-h",
        SOCKETS,
        "-U",
        "postgres",
        "-d",
        "odoo",
        "-c",
        "SELECT pg_sleep(60)",
    )
    inside = Inside(tree=pod.sandbox_postgresql, argv=argv, uid=26)
    process = subprocess.Popen(pod.session.command(inside), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("step", sample(BACK_STEPS[:-3], 1))
def test_a_rollback_whose_server_is_killed_leaves_one_of_the_two_and_another_rollback_works(training, step):
    masked(training, "7", "masked", "verified")
    assert program(training, "7").returncode == 0
    status, text = stepping(training, "9", step, lambda: kill(training), "--rollback")
    start(training)
    if status:
        told(text)
    now = state(training)
    assert now in (OLD, new("7"))
    again = program(training, "10", "--rollback")
    assert again.returncode == 0, again.stderr
    assert state(training) == (new("7") if now == OLD else OLD)


def test_a_full_filestore_is_told_the_masking_program_knows_it_and_the_next_run_works(training):
    masked(training, "7", "masked", "verified")
    large = "UPDATE careops_refresh.file SET content = convert_to(repeat('x', 2000000), 'UTF8')"
    training.sql("odoo_refresh", "CREATE EXTENSION IF NOT EXISTS pgcrypto", large)
    training.sql("odoo_refresh", "UPDATE careops_refresh.file SET sha1 = encode(digest(content, 'sha1'), 'hex')")
    room = "s = os.statvfs('.'); print(s.f_bavail * s.f_frsize)"
    files(training, f"{room}\nopen('ballast', 'wb').write(bytes(s.f_bavail * s.f_frsize - 1000000))")
    before = files(training, room)
    with masking(training):
        done = program(training, "7")
    assert done.returncode == 1, done.stderr
    told(done.stderr)
    assert "training's filestore is full" in done.stderr
    assert "filestore.size in Pulumi.training.yaml" in done.stderr
    assert state(training) == OLD
    why = training.sql("odoo_refresh", "SELECT detail->>'why' FROM careops_refresh.state WHERE step = 'failed'")
    assert why == "training's filestore is full", "the masking program is told, and does not wait"
    assert abs(int(files(training, room)) - int(before)) < 20000, "half a file does not keep the room that was lacking"
    files(training, "os.unlink('ballast')")
    next_run(training)
    assert files(training, f"print(open('filestore/odoo/{STORED}').read())") == PLACEHOLDER.decode()


def test_a_half_written_file_of_an_adoption_that_was_killed_is_removed_by_the_next(training):
    left = "filestore/odoo/bb/.bb02.new"
    files(training, f"os.makedirs('filestore/odoo/bb'); open('{left}', 'w').write('half')")
    next_run(training)
    assert files(training, f"print(os.path.exists('{left}'))") == "False"


def test_a_file_whose_name_is_not_text_does_not_stop_a_swap_or_the_way_back(training):
    files(training, f"open({UNNAMEABLE!r}, 'w').write('somebody')")
    next_run(training)
    back = program(training, "9", "--rollback")
    assert back.returncode == 0, back.stderr
    assert files(training, f"print(open({UNNAMEABLE!r}).read())") == "somebody"

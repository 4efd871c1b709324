"""Which indexes and constraints are made beside the copying, in which order, and which are left to pg_restore."""

from __future__ import annotations

import threading

from operations.anonymise.indexes import LARGE, Index, Key, at_once, build, connect, divide
from operations.anonymise.pool import Desk, Task

LISTING = """;
; Archive created at 2026-11-24
;
101; 2606 5001 CONSTRAINT public t t_pkey odoo
102; 1259 5002 INDEX public t_a odoo
103; 1259 5003 INDEX public t_clustered odoo
104; 2606 5004 FK CONSTRAINT public t t_p_fkey odoo
105; 2618 5001 RULE public seen _RETURN odoo

"""


class Session:
    def __init__(self) -> None:
        self.statements: list[str] = []

    def execute(self, statement: bytes) -> None:
        self.statements.append(statement.decode())


def index(oid: int, *, size: int = 0, constraint: bool = False, table: str = "t") -> Index:
    return Index(oid=oid, table=table, size=size, constraint=constraint, statement=f"make {oid}")


def key(oid: int, *, table: str = "t", size: int = 0) -> Key:
    made = f"FOREIGN KEY (p{oid}) REFERENCES public.p(id)"
    return Key(oid=oid, table=table, size=size, relation=f"public.{table}", name=f"k{oid}", definition=made)


def run(tasks: list[Task]) -> list[list[str]]:
    """Return the statements of each task in turn, those that a task brings behind all that waits."""
    found, waiting = [], list(tasks)
    while waiting:
        session = Session()
        waiting += waiting.pop(0).do(Desk(writing=session, source="s", target="t", stopped=threading.Event()))
        found.append(session.statements)
    return found


def test_what_the_archive_has_and_postgresql_defines_whole_is_made_here_and_the_rest_stays():
    made = divide(LISTING, [index(5001, constraint=True), index(5002)], [key(5004)])
    assert [found.oid for found in made.indexes["t"]] == [5001, 5002]
    assert [found.oid for found in made.keys] == [5004]
    assert made.rest.splitlines() == [
        "103; 1259 5003 INDEX public t_clustered odoo",
        "105; 2618 5001 RULE public seen _RETURN odoo",
    ]


def test_what_the_archive_leaves_out_is_not_made():
    made = divide(LISTING, [index(5001, constraint=True), index(7777)], [key(8888)])
    assert [found.oid for found in made.indexes["t"]] == [5001]
    assert made.keys == []
    assert "5002" in made.rest


def test_a_small_table_s_indexes_are_one_task_and_constraints_come_first():
    assert run(build([index(1), index(2, constraint=True), index(3)])) == [["make 2", "make 1", "make 3"]]


def test_a_large_table_s_indexes_are_tasks_of_their_own_once_its_constraints_are_there():
    found = build([index(1, size=LARGE), index(2, size=LARGE, constraint=True), index(3, size=LARGE)])
    assert len(found) == 1
    assert run(found) == [["make 2"], ["make 1"], ["make 3"]]


def test_a_large_table_without_constraints_has_its_indexes_made_at_once():
    assert run(build([index(1, size=LARGE), index(2, size=LARGE)])) == [["make 1"], ["make 2"]]


def test_a_table_without_indexes_needs_nothing():
    assert build([]) == []


def test_indexes_wait_until_no_table_is_to_be_copied():
    assert all(task.late for task in build([index(1, size=LARGE), index(2, size=LARGE)]))


def test_tables_that_get_no_rows_have_their_indexes_at_once():
    found = at_once({"t": [index(1)], "empty": [index(2, table="empty")]}, {"t"})
    assert run(list(found)) == [["make 2"]]


def test_foreign_keys_of_a_table_are_one_statement_and_those_of_a_large_one_are_proved_one_by_one():
    keys = [key(1), key(2, table="big", size=LARGE), key(3), key(4, table="big", size=LARGE)]
    added, proved = run(connect(keys))
    assert added == [
        "ALTER TABLE ONLY public.t ADD CONSTRAINT k1 FOREIGN KEY (p1) REFERENCES public.p(id), "
        "ADD CONSTRAINT k3 FOREIGN KEY (p3) REFERENCES public.p(id)",
        "ALTER TABLE ONLY public.big ADD CONSTRAINT k2 FOREIGN KEY (p2) REFERENCES public.p(id) NOT VALID, "
        "ADD CONSTRAINT k4 FOREIGN KEY (p4) REFERENCES public.p(id) NOT VALID",
    ]
    assert proved == [
        "ALTER TABLE ONLY public.big VALIDATE CONSTRAINT k2",
        "ALTER TABLE ONLY public.big VALIDATE CONSTRAINT k4",
    ]


def test_without_foreign_keys_there_is_nothing_to_add():
    assert connect([]) == []

"""Every database connection of a serving Odoo is checked before Odoo uses it: the database must fit this image.

A migration replaces the database under running pods (`migrate`): it ends their connections, and what they open next
leads to a database that may have been changed for another image. The record that is compared is written into the copy
before the copy takes the database's place, so there is no moment in which old code can work on new tables.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from .database import GENERATION_PARAMETER, MODULES_PARAMETER, driver
from .errors import EXIT_WAITED
from .identity import PARAMETER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAIN_PROCESS = "CAREOPS_MAIN_PROCESS"
"""Variable with the number of the process whose end ends the container; Odoo's workers inherit it."""
GENERATION = "CAREOPS_GENERATION"
"""Variable with the run of the refresh that made the database at the pod's start; empty for none."""

# One round trip: the record itself is some 10 kB, its digest is not.
_MARKS = f"""
    SELECT max(value) FILTER (WHERE key = '{PARAMETER}'),
           encode(sha256(convert_to(max(value) FILTER (WHERE key = '{MODULES_PARAMETER}'), 'UTF8')), 'hex'),
           max(value) FILTER (WHERE key = '{GENERATION_PARAMETER}')
      FROM public.ir_config_parameter WHERE key IN ('{PARAMETER}', '{MODULES_PARAMETER}', '{GENERATION_PARAMETER}')
"""  # noqa: S608 - our own constants
_RECORD = f"SELECT value FROM public.ir_config_parameter WHERE key = '{MODULES_PARAMETER}'"  # noqa: S608 - as above


class Fence:
    """What the connections of one process are checked against.

    Args:
        database: The environment's database; connections to others, such as ``postgres``, pass.
        identity: Whose it must be.
        modules: Module -> checksum of this image.
        generation: Which refresh made the database that the pod was started for; None for none.
        end: Ends the pod, told why; must not return.
    """

    def __init__(
        self,
        *,
        database: str,
        identity: str,
        modules: Mapping[str, str],
        generation: str | None,
        end: Callable[[str], NoReturn],
    ) -> None:
        self._database = database
        self._identity = identity
        self._modules = modules
        self._generation = generation
        self._end = end
        self._fits: str | None = None  # digest of the record that was last found to fit

    def check(self, connection: Any) -> None:  # noqa: ANN401 - psycopg2's connection
        """End the pod when a fresh connection leads to a database that this image must not work on.

        Raises:
            psycopg2.OperationalError: The connection broke meanwhile.
        """
        if connection.info.dbname != self._database:
            return
        connection.autocommit = True  # no BEGIN and ROLLBACK around the question: they would be two more round trips
        try:
            why = self._misfit(connection)
        except driver().ProgrammingError as error:
            why = f"it holds no Odoo database: {str(error).strip().splitlines()[0]}"
        if why:
            self._end(why)
        connection.autocommit = False

    def _misfit(self, connection: Any) -> str | None:  # noqa: ANN401 - psycopg2's connection
        with connection.cursor() as cursor:
            cursor.execute(_MARKS)
            identity, digest, generation = cursor.fetchone()
            if identity != self._identity:
                return f"it belongs to {identity or 'nobody'}, not to {self._identity}"
            if generation != self._generation:
                # Caches, sequences and sessions of this process are about other records.
                return f"it was replaced: refresh {generation or 'none'} made it, not {self._generation or 'none'}"
            if digest is None:
                return "no migration has recorded its modules"
            if digest == self._fits:
                return None
            cursor.execute(_RECORD)
            (record,) = cursor.fetchone()
        differing = differing_modules(json.loads(record), self._modules)
        if differing:
            return f"it was migrated for another image; modules that differ: {', '.join(differing[:5])}"
        self._fits = hashlib.sha256(record.encode()).hexdigest()
        return None


def differing_modules(recorded: Mapping[str, str], image: Mapping[str, str]) -> list[str]:
    """Return the modules whose recorded content is not the image's, in order."""
    return sorted(name for name, checksum in recorded.items() if image.get(name) != checksum)


def fenced(connection: Any, fence: Fence) -> type:  # noqa: ANN401 - a class of psycopg2, which has no types
    """Return Odoo's class of connections with the check in it; a connection that fails the check never exists."""

    class FencedConnection(connection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - psycopg2's own arguments
            super().__init__(*args, **kwargs)
            try:
                fence.check(self)
            except BaseException:
                self.close()
                raise

    return FencedConnection


def end_pod(why: str) -> NoReturn:
    """End this process and the container's main one, at once: no request may go on with a database that does not fit.

    The kubelet starts the container again; its guard waits until this image's pods are replaced, or fit again.
    """
    print(
        f"careops-odoo: fence: this pod's database is not what the pod was started for: {why}\n"
        "careops-odoo: fence: the pod ends and starts again; its guard waits for the rollout to replace it",
        file=sys.stderr,
        flush=True,
    )
    main = int(os.environ.get(MAIN_PROCESS, "0"))
    if main not in (0, os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(main, signal.SIGKILL)
    os._exit(EXIT_WAITED)

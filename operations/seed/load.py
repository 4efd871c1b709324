"""Creates rows in Odoo, each exactly once, however often it is interrupted and run again.

Every record gets an external id `careops_seed.<key>`. Creating records and naming them are two calls, so before each
batch its keys are noted in a parameter of the database; the next run gives names to what a killed run left nameless.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from operations.errors import failure
from operations.exit_codes import ExitCode
from operations.seed import rows as marks
from operations.seed.files import render
from operations.seed.odoo import RefusedError, batches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from operations.seed.odoo import Api
    from operations.seed.rows import Row, Table

MODULE = "careops_seed"
PENDING = "careops_seed.pending"

QUIET: dict[str, Any] = {
    "tracking_disable": True,
    "mail_create_nolog": True,
    "mail_create_nosubscribe": True,
    "mail_notrack": True,
    "mail_auto_subscribe_no_notify": True,
    "mail_notify_force_send": False,
    "mail_activity_automation_skip": True,
    "mail_activity_quick_update": True,
    "no_mail_to_attendees": True,
    "dont_notify": True,
    "no_reset_password": True,
    "leave_fast_create": True,
    "lang": "en_US",
}
"""Context of every call: Odoo writes no mail, and no chatter but what the seed itself brings."""

REQUEST_SECONDS = 240.0
"""How long Odoo lets a request run: a killed run's last one may still be at work when the next run begins."""

PAUSE_SECONDS = 2.0


class Loader:
    """Creates tables in one Odoo.

    Attributes:
        known: Key -> model and number of every record of the seed that exists.
        created: Title of a table -> records made by this run.
        missing: Title of a table -> model that this Odoo does not have.
    """

    def __init__(
        self, odoo: Api, *, clock: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.odoo = odoo
        self.clock, self.sleep = clock, sleep
        self.known: dict[str, tuple[str, int]] = {}
        self.created: dict[str, int] = {}
        self.missing: dict[str, str] = {}
        self._xml: dict[str, int] = {}
        self._models: dict[str, int] = {}
        self._via: dict[tuple[str, str], int] = {}

    def open(self) -> None:
        """Read what an earlier run made, and finish what it could not.

        Raises:
            OperationError: With `UNHEALTHY`, when somebody wrote at the same moment as the run that was killed.
        """
        found = self.odoo.call(
            "ir.model.data", "search_read", [["module", "=", MODULE]], ["name", "model", "res_id"], order="id"
        )
        self.known = {one["name"]: (one["model"], one["res_id"]) for one in found}
        pending = json.loads(self.odoo.call("ir.config_parameter", "get_param", PENDING) or "null")
        if pending and pending["keys"][0] not in self.known:
            self._adopt(pending)

    def _adopt(self, pending: Mapping[str, Any]) -> None:
        """Name the records of a batch that was created and not named."""
        model, keys = pending["model"], pending["keys"]
        domain = [["id", ">", pending["after"]], ["create_uid", "=", pending["user"]]]
        ids: list[int] = []
        while not ids:
            ids = self.odoo.call(model, "search", domain, order="id", context={"active_test": False})
            if not ids and self.clock() >= pending["at"] + REQUEST_SECONDS:
                return
            if not ids:
                self.sleep(PAUSE_SECONDS)
        if len(ids) != len(keys):
            raise failure(
                ExitCode.UNHEALTHY,
                f"An interrupted run left {len(keys)} records of {model} behind, and {len(ids)} are there",
                "somebody created others with the same user at the same moment, so they cannot be told apart",
                f"delete the records of {model} with a number above {pending['after']} that are generated, "
                "then run the same command again",
            )
        self._name(model, keys, ids)

    def models(self) -> set[str]:
        """Return the names of the models of this Odoo."""
        if not self._models:
            found = self.odoo.call("ir.model", "search_read", [], ["model"])
            self._models = {one["model"]: one["id"] for one in found}
        return set(self._models)

    def load(self, table: Table, note: Callable[[str], None]) -> None:
        """Create the rows of a table that are not there yet.

        Args:
            table: The rows; what they refer to exists.
            note: Told how far it is.
        """
        if table.model not in self.models():
            self.missing[table.title] = table.model
            return
        wanted = [row for row in table.rows if row.key not in self.known and self._possible(row)]
        context = {**QUIET, **table.context}
        done = 0
        for batch in batches(wanted, table.batch):
            self._prepare(batch)
            values = [{name: self._value(value) for name, value in row.values.items()} for row in batch]
            keys = [row.key for row in batch]
            self._note_pending(table.model, keys)
            self._name(table.model, keys, self._create(table.model, values, context))
            self.created[table.title] = self.created.get(table.title, 0) + len(batch)
            done += len(batch)
            note(f"{done} of {len(wanted)}")
        if wanted and table.french:
            self._translate(table)

    def _possible(self, row: Row) -> bool:
        """Return whether what a row is about can exist: not when its model is missing here."""
        about = next((one.key for one in row.values.values() if isinstance(one, marks.ModelOf | marks.ModelIdOf)), None)
        return about is None or about in self.known

    def _note_pending(self, model: str, keys: Sequence[str]) -> None:
        last = self.odoo.call(model, "search", [], order="id desc", limit=1, context={"active_test": False})
        pending = {
            "model": model,
            "keys": list(keys),
            "after": last[0] if last else 0,
            "user": self.odoo.user,
            "at": self.clock(),
        }
        self.odoo.call("ir.config_parameter", "set_param", PENDING, json.dumps(pending))

    def _create(self, model: str, values: list[dict[str, Any]], context: Mapping[str, Any]) -> list[int]:
        try:
            return self.odoo.call(model, "create", values, context=context)
        except RefusedError:  # then nothing was created, and the next run need not wait for it
            self.odoo.call("ir.config_parameter", "set_param", PENDING, "")
            raise

    def _name(self, model: str, keys: Sequence[str], ids: Sequence[int]) -> None:
        names = [
            {"module": MODULE, "name": key, "model": model, "res_id": number, "noupdate": True}
            for key, number in zip(keys, ids, strict=True)
        ]
        self.odoo.call("ir.model.data", "create", names)
        self.known.update((key, (model, number)) for key, number in zip(keys, ids, strict=True))

    def _translate(self, table: Table) -> None:
        keys = [key for key in table.french if key in self.known]
        values = [{"name": table.french[key]} for key in keys]
        context = {**QUIET, "lang": "fr_FR"}
        self.odoo.call(table.model, "web_save_multi", self.ids(keys), values, {}, context=context)

    # -- values ----------------------------------------------------------------------------------------------------

    def ids(self, keys: Sequence[str]) -> list[int]:
        """Return the numbers of records by their keys."""
        return [self.known[key][1] for key in keys]

    def _prepare(self, batch: Sequence[Row]) -> None:
        """Read with one call for each field what the rows of a batch need to know of others."""
        wanted: dict[tuple[str, str], set[str]] = {}
        for row in batch:
            for value in row.values.values():
                pairs = value.pairs if isinstance(value, marks.Vias) else ()
                pairs = ((value.key, value.field),) if isinstance(value, marks.Via) else pairs
                for key, field in pairs:
                    if field != "id" and (key, field) not in self._via:
                        wanted.setdefault((self.known[key][0], field), set()).add(key)
        for (model, field), keys in wanted.items():
            by_id = {self.known[key][1]: key for key in sorted(keys)}
            for record in self.odoo.call(model, "read", list(by_id), [field]):
                self._via[by_id[record["id"]], field] = record[field][0] if record[field] else 0

    def _value(self, value: Any) -> Any:  # noqa: ANN401, PLR0911 - one line for each marker
        match value:
            case marks.Ref(key):
                return self.known[key][1]
            case marks.Refs(keys):
                return [[6, 0, self.ids(keys)]]
            case marks.Via():
                return self._follow(value.key, value.field) or False
            case marks.Vias(pairs):
                return [[6, 0, sorted({found for pair in pairs if (found := self._follow(*pair))})]]
            case marks.Xml(name):
                return self.xml(name)
            case marks.ModelOf(key):
                return self.known[key][0]
            case marks.ModelIdOf(key):
                return self._models[self.known[key][0]]
            case marks.Lines(lines):
                return [[0, 0, {name: self._value(one) for name, one in line.items()}] for line in lines]
            case marks.Content(file):
                return base64.b64encode(render(file)).decode()
            case marks.Secret():
                return secrets.token_urlsafe(24)
        return value

    def _follow(self, key: str, field: str) -> int:
        return self.known[key][1] if field == "id" else self._via[key, field]

    def xml(self, name: str) -> int:
        """Return the number of a record that Odoo itself brings, by its external id.

        Raises:
            OperationError: With `UNHEALTHY`, when this Odoo has no such record.
        """
        if name not in self._xml:
            module, _, own = name.partition(".")
            domain = [["module", "=", module], ["name", "=", own]]
            found = self.odoo.call("ir.model.data", "search_read", domain, ["res_id"])
            if not found:
                raise failure(
                    ExitCode.UNHEALTHY,
                    f"This Odoo has no record {name}",
                    "it comes with every Odoo; somebody deleted it, or its external id",
                    f"bring it back (./careops up mends nothing here): update module {module}",
                )
            self._xml[name] = found[0]["res_id"]
        return self._xml[name]

"""An Odoo that keeps records in memory, and can be killed right after any call took effect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from operations.seed.odoo import RefusedError

MODELS = (
    *("ir.model.data", "ir.model", "ir.config_parameter", "ir.module.module", "ir.attachment", "res.partner"),
    *("res.partner.category", "res.partner.bank", "res.users", "res.company", "hr.department", "hr.job", "hr.employee"),
    *("product.product", "sale.order", "purchase.order", "crm.lead", "project.task.type", "project.tags"),
    *("project.project", "project.task", "maintenance.equipment", "maintenance.request", "calendar.event"),
    *("hr.leave.type", "hr.leave", "hr.applicant", "hr.expense", "mail.message", "mail.activity", "mail.mail"),
    *("account.move",),
)
BROUGHT = (
    *("base.fr", "base.main_company", "mail.mt_comment", "mail.mt_note", "mail.mail_activity_data_call"),
    *("mail.mail_activity_data_todo", "mail.mail_activity_data_email"),
)


class Killed(BaseException):
    """The run was killed."""


@dataclass
class FakeOdoo:
    """Answers the calls that loading makes."""

    models: tuple[str, ...] = MODELS
    user: int = 2
    kill_after: int | None = None
    kill_only: str | None = None
    refuse: str | None = None
    records: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    contexts: list[dict[str, Any]] = field(default_factory=list)
    last: int = 100

    def __post_init__(self) -> None:
        self.records = {model: {} for model in MODELS}
        self._add("ir.model", [{"model": model} for model in self.models])
        for name in BROUGHT:
            module, _, own = name.partition(".")
            self._add("ir.model.data", [{"module": module, "name": own, "model": "x", "res_id": self.last}])

    def _add(self, model: str, values: list[dict[str, Any]]) -> list[int]:
        ids = []
        for one in values:
            self.last += 1
            self.records[model][self.last] = {"create_uid": self.user, **one, "id": self.last}
            ids.append(self.last)
        return ids

    def call(
        self, model: str, method: str, *arguments: Any, context: dict[str, Any] | None = None, **named: Any
    ) -> Any:
        self.calls.append((model, method))
        if method == "create":
            self.contexts.append(dict(context or {}))
        if method == "create" and model == self.refuse:
            raise RefusedError(model, method, "no")
        answer = getattr(self, f"_{method}")(model, *arguments, **named)
        if self.kill_after is not None and (self.kill_only is None or method == self.kill_only):
            self.kill_after -= 1
            if self.kill_after == 0:
                self.kill_after = None
                raise Killed
        return answer

    def _create(self, model: str, values: list[dict[str, Any]]) -> list[int]:
        ids = self._add(model, values)
        if model == "hr.employee":
            for number in ids:
                self.records[model][number]["work_contact_id"] = [self._add("res.partner", [{}])[0], "x"]
        return ids

    def _search(self, model: str, domain: list[Any], *, order: str = "id", limit: int | None = None) -> list[int]:
        found = sorted(one["id"] for one in self.records[model].values() if all(_fits(one, term) for term in domain))
        return (found[::-1] if "desc" in order else found)[:limit]

    def _search_read(self, model: str, domain: list[Any], fields: list[str], *, order: str = "id") -> list[dict]:
        return self._read(model, self._search(model, domain, order=order), fields)

    def _search_count(self, model: str, domain: list[Any]) -> int:
        return len(self._search(model, domain))

    def _read(self, model: str, ids: list[int], fields: list[str]) -> list[dict[str, Any]]:
        return [{"id": one} | {name: self.records[model][one].get(name, False) for name in fields} for one in ids]

    def _web_save_multi(self, model: str, ids: list[int], values: list[dict[str, Any]], _specification: dict) -> None:
        for number, one in zip(ids, values, strict=True):
            self.records[model][number] |= one

    def _get_param(self, _model: str, key: str) -> str | bool:
        return next((one["value"] for one in self.records["ir.config_parameter"].values() if one["key"] == key), False)

    def _set_param(self, model: str, key: str, value: str) -> None:
        for one in self.records[model].values():
            if one["key"] == key:
                one["value"] = value
                return
        self._add(model, [{"key": key, "value": value}])

    def seeded(self) -> dict[str, tuple[str, int]]:
        """Return key -> model and number of what carries the seed's external ids."""
        found = [one for one in self.records["ir.model.data"].values() if one["module"] == "careops_seed"]
        assert len(found) == len({one["name"] for one in found}), "a key was given twice"
        return {one["name"]: (one["model"], one["res_id"]) for one in found}


def _fits(record: dict[str, Any], term: list[Any]) -> bool:
    name, operator, value = term
    own = record.get(name, False)
    return {"=": own == value, ">": operator == ">" and own > value, "in": operator == "in" and own in value}[operator]

"""Whether an environment may be filled: its identity is the expected one, and no data but ours is in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from operations.errors import OperationError, Problem
from operations.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operations.seed.odoo import Api

GENERATOR = 2
"""Grows when the same size and seed give other content, so that no database is continued with what does not fit it."""

ORIGIN = "careops_seed.origin"
IDENTITY = "careops.identity"

REAL: tuple[str, ...] = (
    *("res.partner", "hr.employee", "hr.applicant", "crm.lead"),
    *("sale.order", "purchase.order", "account.move"),
)
"""Models whose records are data of a company, unless a module or the seed brought them."""

LOOKED_AT = 500
"""Records of a model that are looked at; a database with more of its own is told by the first ones."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Which seed a database was filled with."""

    patients: int
    seed: int
    generator: int = GENERATOR

    def as_text(self, *, finished: bool) -> str:
        """Return it as it is kept in the database."""
        return json.dumps(
            {"patients": self.patients, "seed": self.seed, "generator": self.generator, "finished": finished}
        )


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a look at the database showed.

    Attributes:
        identity: Its own label; None when it has none.
        origin: The seed it was filled with; None when it was not.
        finished: Whether that seed was loaded to its end.
        demo: Whether Odoo's demo data are in it, which no environment with real data may have.
        foreign: Model -> records that neither a module nor a seed brought (at most `LOOKED_AT` are counted).
    """

    identity: str | None
    origin: Origin | None
    finished: bool
    demo: bool
    foreign: Mapping[str, int]


def look(odoo: Api) -> Found:
    """Look at a database; nothing is changed."""
    parameter = _parse(odoo.call("ir.config_parameter", "get_param", ORIGIN))
    demo = odoo.call("ir.module.module", "search_count", [["demo", "=", True]]) > 0
    origin = Origin(**{key: int(parameter[key]) for key in ("patients", "seed", "generator")}) if parameter else None
    return Found(
        identity=odoo.call("ir.config_parameter", "get_param", IDENTITY) or None,
        origin=origin,
        finished=bool(parameter.get("finished")),
        demo=demo,
        foreign={} if origin or demo else _foreign(odoo),
    )


def _parse(text: object) -> dict[str, Any]:
    return json.loads(text) if isinstance(text, str) and text else {}


def _foreign(odoo: Api) -> dict[str, int]:
    there = {one["model"] for one in odoo.call("ir.model", "search_read", [["model", "in", list(REAL)]], ["model"])}
    found: dict[str, int] = {}
    for model in (one for one in REAL if one in there):
        ids = odoo.call(model, "search", [], limit=LOOKED_AT, order="id desc", context={"active_test": False})
        domain = [["model", "=", model], ["res_id", "in", ids]]
        named = {one["res_id"] for one in odoo.call("ir.model.data", "search_read", domain, ["res_id"])}
        if set(ids) - named:
            found[model] = len(set(ids) - named)
    return found


def refuse(found: Found, wanted: Origin, identity: str) -> None:
    """Raise when this database must not be filled with this seed.

    Args:
        found: From `look`.
        wanted: What is to be loaded.
        identity: `<site>/<environment>` that was asked for.

    Raises:
        OperationError: With `UNHEALTHY` for another environment's database, with `USAGE` for one that holds other data.
    """
    if found.identity != identity:
        raise OperationError(
            ExitCode.UNHEALTHY,
            Problem(
                what=f"This is not the database of {identity}",
                why=f"its own label says {found.identity or 'nothing'}",
                action="nothing was written; see which database the environment runs on: ./careops status",
            ),
        )
    if found.origin and found.origin != wanted:
        raise OperationError(ExitCode.USAGE, _other_seed(found.origin, wanted))
    if found.foreign:
        counts = ", ".join(f"{model}: {count}" for model, count in found.foreign.items())
        raise OperationError(
            ExitCode.USAGE,
            Problem(
                what=f"{identity} holds data already",
                why=f"neither a module nor a seed brought these, and generated ones would mix with them: {counts}",
                action="seed a new environment only: ./careops down and up make one, and lose what is there",
            ),
        )


def _other_seed(found: Origin, wanted: Origin) -> Problem:
    if found.generator != wanted.generator:
        return Problem(
            what="This environment was filled by another release of careops",
            why=f"its generator was number {found.generator}, this one is {wanted.generator}: the contents differ",
            action="continue with the release that began, or start from a new environment (./careops down, up)",
        )
    return Problem(
        what=f"This environment was filled with {found.patients} patients of seed {found.seed}",
        why=f"{wanted.patients} patients of seed {wanted.seed} are other people; both together would be no hospital",
        action=f"continue with the same: --size {found.patients} --seed {found.seed}",
    )

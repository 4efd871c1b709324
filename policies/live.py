"""Judge plain Kubernetes objects by the same rules: a live cluster's, or rendered manifests'."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies import engine
from policies.packs import HEALTHCARE
from policies.resources import from_object
from policies.rule import Context

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date
    from typing import Any

    from policies.engine import Judgement
    from policies.packs import Pack
    from policies.resources import Resource
    from policies.waivers import Register


def judge(
    objects: Iterable[Mapping[str, Any]], *, register: Register, today: date, pack: Pack = HEALTHCARE
) -> list[Judgement]:
    """Let every rule of a pack judge every object, and the register of waivers.

    Args:
        objects: Whole objects with `apiVersion` and `kind`; lists are taken apart. Pass every object of the namespaces
            in question: a rule that looks at a namespace's policies knows only what it is given.
        register: The waivers; they name a live object as `type::namespace/name`.
        today: The day of judgement, UTC.
        pack: Which rules.

    Returns:
        A judgement for each rule and object, those that do not apply included.

    Raises:
        MalformedValue: If something among the objects is no Kubernetes object.
    """
    resources: tuple[Resource, ...] = tuple(resource for body in objects for resource in from_object(body))
    context = Context(today=today, stack=resources, exceptions=register.findings(today))
    judgements: list[Judgement] = []
    for scope in ("resource", "stack", "run"):
        judgements += engine.judge(pack.rules, resources, context, register, scope)
    return judgements

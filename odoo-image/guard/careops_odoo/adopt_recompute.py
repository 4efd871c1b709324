"""Run inside `odoo shell`, which provides `env`: compute the stored fields that masking emptied, as Odoo does.

In batches, each committed: memory does not grow with the rows, and a repeated run computes the same again.
"""
# ruff: noqa: F821  `env` is given by the shell

import graphlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BATCH = 1000

WORD = os.environ.get("CAREOPS_WORD", "careops:")
"""What our own lines begin with: by it they are told from whatever else Odoo says, which may quote data."""
wishes = json.loads(Path(os.environ["CAREOPS_WISHES"]).read_text(encoding="utf-8"))


def wanted_fields() -> list[Any]:
    """Return the fields that this release still has; one that is not computed any more cannot be made whole."""
    found, lost = [], []
    for model, name in wishes["fields"]:
        field = env[model]._fields.get(name) if model in env else None  # ty: ignore[unresolved-reference]
        if field is None or not field.store:
            print(f"{WORD} {model}.{name} is not stored in this release any more")
        elif field.compute is None:
            lost.append(f"{model}.{name}")
        else:
            found.append(field)
    if lost:
        raise SystemExit(f"{WORD} the catalogue says recompute, but Odoo computes no {', '.join(lost)}")
    return found


def needed_by(field: Any, listed: set, seen: set) -> Iterator[Any]:  # noqa: ANN401  Odoo has no types
    """Yield the listed fields that a field is computed from, also through fields that are not stored."""
    for path in env.registry.field_depends[field]:  # ty: ignore[unresolved-reference]
        model = env[field.model_name]  # ty: ignore[unresolved-reference]
        for name in path.split("."):
            step = model._fields.get(name)
            if step is None:
                break
            if step in listed and step is not field:
                yield step
            elif step.compute and not step.store and step not in seen:
                seen.add(step)
                yield from needed_by(step, listed, seen)
            if not step.comodel_name:
                break
            model = env[step.comodel_name]  # ty: ignore[unresolved-reference]


def in_order(fields: list) -> list:
    """Return the fields so that each comes after those it is computed from.

    One that takes a name from whatever record `res_id` points to depends on fields that nobody declares: it is last.
    """
    listed = set(fields)
    graph = {field: set(needed_by(field, listed, set())) for field in fields}
    try:
        ordered = [field for field in graphlib.TopologicalSorter(graph).static_order() if field in listed]
    except graphlib.CycleError:
        ordered = fields
    depends = env.registry.field_depends  # ty: ignore[unresolved-reference]
    return sorted(ordered, key=lambda field: any("res_id" in path for path in depends[field]))


def recompute(field: Any) -> int:  # noqa: ANN401  as above
    """Compute a field of all records."""
    model = env[field.model_name].with_context(active_test=False)  # ty: ignore[unresolved-reference]
    env.cr.execute(f'SELECT id FROM "{model._table}" ORDER BY id')  # noqa: S608, SLF001  # ty: ignore[unresolved-reference]
    ids = [number for (number,) in env.cr.fetchall()]  # ty: ignore[unresolved-reference]
    for start in range(0, len(ids), BATCH):
        env.add_to_compute(field, model.browse(ids[start : start + BATCH]))  # ty: ignore[unresolved-reference]
        env.flush_all()  # ty: ignore[unresolved-reference]
        env.cr.commit()  # ty: ignore[unresolved-reference]
        env.invalidate_all()  # ty: ignore[unresolved-reference]
    return len(ids)


for each in in_order(wanted_fields()):
    print(f"{WORD} recomputed {each} of {recompute(each)} records")

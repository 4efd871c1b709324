"""The certificate on one page: HTML without anything from elsewhere, for paper and for a phone."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from operations.anonymise.certificate import missing_checks

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATE = Path(__file__).with_name("certificate.html")
_FILES = {"keep": "kept as Odoo ships them", "placeholder": "replaced by a placeholder", "drop": "left out"}
"""What became of files, as a person says it; by `files.Decision`."""


def html(document: Mapping[str, Any]) -> str:
    """Return the page of a signed document.

    The document itself is at the end of the page, so that whoever has the page can check the signature.

    Args:
        document: As `certificate.sign` returns it.
    """
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["number"] = lambda value: f"{value:,}".replace(",", "\u202f")
    environment.filters["moment"] = moment
    body = document["certificate"]
    checks = body["verification"]
    # As `certificate.verify` judges: the summary alone is not believed.
    sound = body["passed"] is True and bool(checks) and all(check["status"] == "passed" for check in checks)
    sound = sound and not missing_checks(body)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        c=body,
        sound=sound,
        good=sound and body["key"]["destroyed"] is True,
        signature=document["signature"],
        files=_FILES,
        findings=[(check["name"], finding) for check in checks for finding in check["findings"]],
        # The last check that counted: of the database as people get it, where there is one.
        groups=next((check["groups"] for check in reversed(checks) if check.get("groups")), []),
        source=json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")),
    )


def moment(text: str) -> str:
    """Return a time of a certificate as a person reads it, in UTC; what is no time stays as it is."""
    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError:
        return text or "not said"
    if at.tzinfo is None:
        return text
    return f"{at.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"

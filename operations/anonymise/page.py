"""The certificate on one page: HTML without anything from elsewhere, for paper and for a phone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATE = Path(__file__).with_name("certificate.html")


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
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        c=document["certificate"],
        signature=document["signature"],
        findings=[
            (check["name"], finding)
            for check in document["certificate"]["verification"]
            for finding in check["findings"]
        ],
        source=json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")),
    )

"""The certificate of training's present data, as its database keeps it: a scheduled run has nobody to hand it to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.naming import REFRESH_EVIDENCE_SECRET, Naming
from operations.errors import failure
from operations.exit_codes import ExitCode
from operations.refresh import evidence
from operations.refresh.plan import DATABASE

if TYPE_CHECKING:
    from pathlib import Path

    from operations.refresh.cluster import Cluster

# Odoo's image writes it as one line of JSON; see CERTIFICATE_PARAMETER in odoo-image/guard/careops_odoo/adopt.py.
_CERTIFICATE = "SELECT value FROM ir_config_parameter WHERE key = 'careops.refresh'"


def _is_kept(path: Path, run: str, key: str) -> bool:
    """Return whether a file is there and genuine: what proves nothing is kept too, and asked for again."""
    if not (key and path.exists() and path.with_suffix(".html").exists()):
        return False
    verdict = evidence.check_with(path, key)
    return verdict.good and verdict.certificate["run"] == run


def keep(cluster: Cluster, site: str, run: str, folder: Path, key: str) -> Path:
    """Keep the certificate of training's present data, unless it is kept already, and return its file.

    Args:
        cluster: Where.
        site: The site.
        run: The run that made the data.
        folder: Where evidence is.
        key: The site's pinned key, PEM; empty without one.

    Raises:
        OperationError: With `REFRESH_FAILED`, when training has none, or it is not genuine.
    """
    path = evidence.path_of(folder, site, run)
    if _is_kept(path, run, key):
        return path
    rows = cluster.ask(Naming(site=site, environment="training").namespace, DATABASE, _CERTIFICATE)
    if not (rows and key):
        raise failure(
            ExitCode.REFRESH_FAILED,
            f"The certificate of training's data (run {run}) cannot be had",
            f"the Secret {REFRESH_EVIDENCE_SECRET} is gone, and no key is pinned"
            if rows
            else "its database has no parameter careops.refresh",
            "its data is not proved to be masked: start a new run, ./careops refresh training",
        )
    return evidence.keep(folder, site, run, rows[0][0], key)

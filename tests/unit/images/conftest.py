"""Makes the guard importable, as the image's entry point does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

GUARD = Path(__file__).parents[3] / "odoo-image" / "guard"
sys.path.insert(0, str(GUARD))

SETTINGS = {
    "modules": ["sale_management", "crm"],
    "languages": ["fr_FR", "en_US"],
    "company": {"name": "Riverside Hospital", "country": "FR", "currency": "EUR", "time_zone": "Europe/Paris"},
    "base_url": "https://riverside-dev.careops.local:8443",
    "baseline": "standard",
    "workers": None,
    "cron_threads": 2,
    "limits": {"memory_bytes": 2 * 1024**3, "cpu_millicores": 1000},
    "smtp": {"host": "mail-sink", "port": 1025},
    "banner": "DEV",
    "data_classification": "demo",
}

POD = {
    "CAREOPS_SITE": "riverside",
    "CAREOPS_ENVIRONMENT": "dev",
    "PGHOST": "postgresql-rw",
    "PGPORT": "5432",
    "PGUSER": "odoo",
    "PGDATABASE": "odoo",
    "PGSSLMODE": "verify-full",
}


@pytest.fixture
def document():
    return {**SETTINGS}


@pytest.fixture
def pod_variables():
    return {**POD}

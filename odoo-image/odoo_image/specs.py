"""The platform's images as data: what is in each and how it is named."""

from __future__ import annotations

from pathlib import Path

from toolchain.images.rootfs import Recipe, User

DOMAIN = "careops.local"
"""Not resolvable on purpose: no runtime can ever fetch these names from somewhere else."""

ODOO_VERSION = "19.0"
POSTGRESQL_MAJOR = "17"
SUITE = "trixie"
EDGE_TAG = "1"

ODOO_USER = User(name="odoo", number=10019, home="/var/lib/odoo")
EDGE_USER = User(name="edge", number=10020, home="/nonexistent")
POSTGRESQL_USER = User(name="postgres", number=26, home="/var/lib/postgresql")
"""26 is the number CloudNativePG runs an operand as."""

OPERATOR_UID = 65532
"""The number CloudNativePG's own operator image uses ("nonroot")."""

LANGUAGES = ("de", "es", "fr", "nl")
"""Languages whose translations stay in the image; 820 MB of the package's 1.2 GB are translations."""

ADDONS = "/usr/lib/python3/dist-packages/odoo/addons"

BASELINE_MODULES = (
    *("account", "calendar", "crm", "event", "fleet"),
    *("hr", "hr_attendance", "hr_expense", "hr_holidays", "hr_recruitment", "hr_skills", "hr_timesheet"),
    *("mail", "maintenance", "mrp", "point_of_sale", "portal", "privacy_lookup", "project", "purchase"),
    *("repair", "sale_management", "stock", "survey", "website"),
)
"""Installed in every baseline: what healthcare organisations use of the community edition. A site adds its own."""

BASELINE_LANGUAGES = ("fr_FR",)
"""Loaded in every baseline beside en_US: those of the sites in this repository, because loading one at the first start
costs a third of it. A site may name others; what a baseline has and a site does not name is switched off there."""

BASELINES = ("standard", "demo")

GUARD = Path(__file__).parents[1] / "guard"
TEMPLATES = Path(__file__).parents[1] / "templates"
EDGE = Path(__file__).parents[1] / "edge"
ISOLATED = Path(__file__).parents[1] / "postgresql"
REFRESH = Path(__file__).parents[1] / "refresh"
OPERATIONS = Path(__file__).parents[2] / "operations"

_ONLY_OURS = tuple(
    f"path-include={ADDONS}/*/{pattern}.po" for language in LANGUAGES for pattern in (language, f"{language}_*")
)

ODOO = Recipe(
    name="odoo",
    suite=SUITE,
    packages=(
        "odoo-19",
        *("python3-aiosmtpd", "python3-cryptography", "python3-ldap", "python3-pdfminer", "python3-phonenumbers"),
        *("ca-certificates", f"postgresql-client-{POSTGRESQL_MAJOR}", "tini"),
    ),
    users=(ODOO_USER,),
    # odoo-19 is only in sid, where it does not start (Python 3.14 is above its MAX_PY); trixie has all it depends on.
    borrowed={"odoo-19": "sid"},
    dpkg_options=(
        # The package ships a second, useless copy of the add-ons that Odoo would even put on its path.
        "path-exclude=/usr/lib/python3/dist-packages/addons/*",
        f"path-exclude={ADDONS}/*.po",
        *_ONLY_OURS,
    ),
    files={},
    # The package's own configuration would be read when none is named; ours is rendered at start.
    remove=("etc/odoo", "etc/init.d/odoo", "etc/logrotate.d/odoo", "var/log/odoo"),
)

POSTGRESQL = Recipe(
    name="postgresql",
    suite=SUITE,
    packages=(
        *(f"postgresql-{POSTGRESQL_MAJOR}", f"postgresql-{POSTGRESQL_MAJOR}-pgaudit"),
        *("barman-cli-cloud", "ca-certificates", "python3-boto3", "python3-snappy"),
    ),
    users=(POSTGRESQL_USER,),
    borrowed={},
    # A cluster made by the package's installation would be part of the image, the same in every environment.
    files={"/etc/postgresql-common/createcluster.conf": "create_main_cluster = false\n"},
    remove=(
        *("etc/ssl/private/ssl-cert-snakeoil.key", "etc/ssl/certs/ssl-cert-snakeoil.pem"),
        # Where the package would configure a cluster of its own, writable by its user.
        *("etc/postgresql", "var/log/postgresql/*"),
    ),
)

EDGE_ROOT = Recipe(
    name="edge",
    suite=SUITE,
    packages=("nginx-light",),
    users=(EDGE_USER,),
    borrowed={},
    files={},
    remove=("etc/nginx/sites-enabled", "etc/nginx/sites-available", "var/log/nginx", "var/www", "usr/share/nginx/html"),
)

PSYCOPG = Recipe(
    name="psycopg",
    suite=SUITE,
    # Of what is installed only the two packages' own files go into the refresh image; the rest the Odoo image has. In a
    # recipe of their own they cost Odoo's root file system, and the baselines made with it, no rebuild.
    packages=("python3-psycopg", "python3-psycopg-c"),
    borrowed={},
    files={},
)
PACKAGES = "usr/lib/python3/dist-packages"

RECIPES = (ODOO, POSTGRESQL, EDGE_ROOT, PSYCOPG)

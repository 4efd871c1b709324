"""The Secrets between the parts of a refresh: made where they are missing, renewed in time, never in Pulumi's state.

What is made up (passwords, keys) stands in one Secret; what another namespace needs of it is copied from there.
"""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from infra import naming
from infra.naming import Naming, common_labels, isolated_host, refresh_namespace
from operations.refresh import keys
from operations.refresh.cluster import namespace_uid, secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from operations.refresh.cluster import Cluster, Object
    from operations.session import Session

_ONE_AT_A_TIME = threading.Lock()
"""Training and prod are deployed at the same time, and each makes the Secrets of both sides."""

SEED_OF = "seed-of-"
"""Beginning of the key under which the seed of one run's logins stays; what follows is the run."""
SEEDS_KEPT = 8
"""Earlier seeds that stay: of the present data, of what a rollback brings back, and of runs that came to nothing."""

BASIC_AUTH = "kubernetes.io/basic-auth"
RELOAD = {"cnpg.io/reload": "true"}
"""The operator watches only Secrets with this label: without it a new password would reach PostgreSQL by chance."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What was done about one object.

    Attributes:
        name: `namespace/name`.
        verb: `made` or `renewed`; nothing is said of what was kept.
    """

    name: str
    verb: str


def ensure(cluster: Cluster, site: str, catalogue: Mapping[str, str], now: datetime | None = None) -> list[Change]:
    """Make every Secret of a site's refresh that is missing, and renew what no longer fits.

    Only namespaces that exist are touched: after the first of the two environments is deployed half of them are made,
    the rest after the second.

    Args:
        cluster: Where.
        site: The site.
        catalogue: The site's own catalogue files, text by name.
        now: Time of the judgement, UTC.
    """
    with _ONE_AT_A_TIME:
        return _Links(cluster, site, now or datetime.now(UTC)).ensure(catalogue)


def ensure_after(session: Session, stack: str, note: str) -> str:
    """Return what a deployment said, after making the Secrets of the refresh where the stack has a part in it.

    Args:
        session: This invocation.
        stack: What was deployed.
        note: What is said about it.
    """
    from infra.settings import load_all
    from operations.refresh.cluster import live_cluster
    from operations.refresh.pins import Pins, ensure_links

    found = [one for one in load_all(session.paths.root).environments if one.stack == stack]
    if not found or found[0].site.refresh is None or found[0].settings.environment not in ("training", "prod"):
        return note
    site = found[0].site.name
    pins = Pins(root=session.paths.root, state=session.paths.state)
    changes, pin = ensure_links(live_cluster(session), pins, site, site_catalogue(session.paths.root, site))
    if not changes:
        return note
    pinned = [change for change in changes if change.verb == "pinned"]
    also = f"; pinned the key of its certificates, {pin.fingerprint}" if pin and pinned else ""
    return f"{note}; {len(changes) - len(pinned)} links of the refresh made{also}"


def renew_seed(cluster: Cluster, site: str, generation: str, run: str) -> None:
    """Give the next run's logins a seed of their own: who saw one knows the passwords of no later run.

    Those of training's present data stay known, as do those of the data that a rollback would bring back.

    Args:
        cluster: Where.
        site: The site.
        generation: The run that made training's present data; empty when none did.
        run: The one that begins.
    """
    names = Naming(site=site, environment="training")
    held = secret(cluster, names.namespace, naming.REFRESH_LOGINS_SECRET) or {}
    seeds = {key: value for key, value in held.items() if key.startswith(SEED_OF)}
    if generation and "seed" in held:
        # The schedule's runs leave no name; what came to nothing since has renewed the seed, but is named.
        seeds.setdefault(f"{SEED_OF}{generation}", held["seed"])
    newest_first = sorted(seeds, key=lambda key: (key == f"{SEED_OF}{generation}", key), reverse=True)
    seed = _new_seed()["seed"]
    made = {**{key: seeds[key] for key in newest_first[:SEEDS_KEPT]}, f"{SEED_OF}{run}": seed, "seed": seed}
    data = {key: base64.b64encode(value).decode() for key, value in made.items()}
    cluster.apply(
        _manifest("Secret", names, names.namespace, naming.REFRESH_LOGINS_SECRET) | {"type": "Opaque", "data": data}
    )


def evidence_key(cluster: Cluster, site: str) -> str:
    """Return the public key (PEM) of the key that signs a site's certificates; empty when it is gone or none."""
    held = secret(cluster, refresh_namespace(site), naming.REFRESH_EVIDENCE_SECRET) or {}
    return (keys.public_key(held.get("key.pem", b"")) or b"").decode()


def site_catalogue(root: Path, site: str) -> dict[str, str]:
    """Return the site's own catalogue files, text by name: `sites/<site>.catalogue/*.tsv`."""
    return {
        path.name: path.read_text(encoding="utf-8") for path in sorted((root / f"sites/{site}.catalogue").glob("*.tsv"))
    }


class _Links:
    """One pass over the Secrets of a site."""

    def __init__(self, cluster: Cluster, site: str, now: datetime) -> None:
        self._cluster = cluster
        self._site = site
        self._now = now
        self._prod = Naming(site=site, environment="prod")
        self._training = Naming(site=site, environment="training")
        self._isolated = refresh_namespace(site)
        self._changes: list[Change] = []

    def ensure(self, catalogue: Mapping[str, str]) -> list[Change]:
        """Make what is missing, in the order of what is copied from where."""
        prod, training, isolated = self._prod, self._training, self._isolated
        self._role(prod, naming.REFRESH_SOURCE_ROLE_SECRET, naming.REFRESH_SOURCE_ROLE)
        role = self._role(training, naming.REFRESH_ROLE_SECRET, naming.REFRESH_TARGET_ROLE)
        self._made(training, training.namespace, naming.REFRESH_LOGINS_SECRET, _has("seed"), _new_seed)
        evidence = self._made(prod, isolated, naming.REFRESH_EVIDENCE_SECRET, _is_evidence_key, _new_evidence_key)
        server = self._made(prod, isolated, naming.REFRESH_ISOLATED_SECRET, self._server_fits, self._new_server)
        if server:
            link = {key: server[key] for key in ("password", "ca.crt")}
            self._copy(prod, prod.namespace, naming.REFRESH_SOURCE_LINK_SECRET, link)
        authority = self._secret(training.namespace, naming.POSTGRESQL_CA_SECRET) or {}
        if role and "ca.crt" in authority:
            target = {"password": role["password"], "ca.crt": authority["ca.crt"]}
            self._copy(prod, isolated, naming.REFRESH_TARGET_SECRET, target)
        if evidence and self._exists(isolated):
            public = (keys.public_key(evidence["key.pem"]) or b"").decode()
            self._config(prod, isolated, naming.REFRESH_EVIDENCE_KEY, {"key.pub.pem": public})
            # The adoption checks the certificate with it before it swaps.
            self._config(training, training.namespace, naming.REFRESH_EVIDENCE_KEY, {"key.pub.pem": public})
            self._config(prod, isolated, naming.REFRESH_CATALOGUE, dict(catalogue))
        return self._changes

    def _role(self, names: Naming, secret: str, role: str) -> dict[str, bytes] | None:
        def make() -> dict[str, bytes]:
            return {"username": role.encode(), "password": keys.new_password().encode()}

        def fits(values: Mapping[str, bytes]) -> bool:
            return values.get("username") == role.encode() and bool(values.get("password"))

        return self._made(names, names.namespace, secret, fits, make, kind=BASIC_AUTH, labels=RELOAD)

    def _server_fits(self, values: Mapping[str, bytes]) -> bool:
        whole = all(values.get(key) for key in ("password", "tls.crt", "tls.key", "ca.crt"))
        return whole and keys.certificate_fits(values["tls.crt"], isolated_host(self._site), self._now)

    def _new_server(self) -> dict[str, bytes]:
        files = keys.server_files(isolated_host(self._site), self._now)
        return {
            "password": keys.new_password().encode(),
            "tls.crt": files.certificate,
            "tls.key": files.key,
            "ca.crt": files.authority,
        }

    def _made(
        self,
        names: Naming,
        namespace: str,
        name: str,
        fits: Callable[[Mapping[str, bytes]], bool],
        make: Callable[[], dict[str, bytes]],
        *,
        kind: str = "Opaque",
        labels: Mapping[str, str] | None = None,
    ) -> dict[str, bytes] | None:
        """Return a Secret's values, made up when there is none that fits; None without its namespace."""
        if not self._exists(namespace):
            return None
        found = self._secret(namespace, name)
        if found is not None and fits(found):
            return found
        made = make()
        self._write(names, namespace, name, made, kind=kind, labels=labels or {})
        self._changes.append(Change(name=f"{namespace}/{name}", verb="made" if found is None else "renewed"))
        return made

    def _copy(self, names: Naming, namespace: str, name: str, values: dict[str, bytes]) -> None:
        if not self._exists(namespace):
            return
        found = self._secret(namespace, name)
        if found != values:
            self._write(names, namespace, name, values)
            self._changes.append(Change(name=f"{namespace}/{name}", verb="made" if found is None else "renewed"))

    def _config(self, names: Naming, namespace: str, name: str, data: dict[str, str]) -> None:
        if not self._exists(namespace):
            return
        path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
        found = self._cluster.get(path)
        if (found is None and not data) or (found is not None and (found.get("data") or {}) == data):
            return
        manifest = _manifest("ConfigMap", names, namespace, name)
        self._cluster.apply(manifest | {"data": data})
        verb = "made" if found is None else "renewed"
        self._changes.append(Change(name=f"{namespace}/{name}", verb=verb))

    def _write(
        self,
        names: Naming,
        namespace: str,
        name: str,
        values: Mapping[str, bytes],
        *,
        kind: str = "Opaque",
        labels: Mapping[str, str] | None = None,
    ) -> None:
        manifest = _manifest("Secret", names, namespace, name, labels or {})
        data = {key: base64.b64encode(value).decode() for key, value in values.items()}
        self._cluster.apply(manifest | {"type": kind, "data": data})

    def _secret(self, namespace: str, name: str) -> dict[str, bytes] | None:
        return secret(self._cluster, namespace, name)

    def _exists(self, namespace: str) -> bool:
        return namespace_uid(self._cluster, namespace) is not None


def _has(key: str) -> Callable[[Mapping[str, bytes]], bool]:
    return lambda values: bool(values.get(key))


def _new_seed() -> dict[str, bytes]:
    return {"seed": keys.new_seed().encode()}


def _is_evidence_key(values: Mapping[str, bytes]) -> bool:
    return keys.public_key(values.get("key.pem", b"")) is not None


def _new_evidence_key() -> dict[str, bytes]:
    return {"key.pem": keys.new_evidence_key()}


def _manifest(kind: str, names: Naming, namespace: str, name: str, labels: Mapping[str, str] | None = None) -> Object:
    own = {**common_labels(name, "refresh"), naming.MANAGED_BY_LABEL: "careops", **names.scope_labels()}
    described = {"name": name, "namespace": namespace, "labels": {**own, **(labels or {})}}
    return {"apiVersion": "v1", "kind": kind, "metadata": described}

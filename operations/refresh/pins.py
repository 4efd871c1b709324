"""Whose certificates are believed: the public key of each site's refreshes, pinned when it is seen first.

A key that comes with a certificate proves nothing of who signed it. So the first `careops up` that finds a site's key
keeps it in the state folder, and a committed file of the site, where there is one, counts before that. A key that is
another one later is an error until a person has said that it is meant.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra import naming
from infra.naming import refresh_namespace
from operations.errors import failure
from operations.exit_codes import ExitCode
from operations.refresh import evidence, links
from operations.refresh.cluster import namespace_uid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from operations.refresh.cluster import Cluster

SUFFIX = ".evidence.pub.pem"
_OF_NAMESPACE = "# of the namespace "


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A pinned key.

    Attributes:
        site: Whose.
        path: Its file.
        key: PEM.
        namespace: The UID of the namespace whose key it is; empty in a committed file.
    """

    site: str
    path: Path
    key: str
    namespace: str = ""

    @property
    def fingerprint(self) -> str:
        """What the key is called."""
        return evidence.fingerprint(self.key)


@dataclass(frozen=True, kw_only=True)
class Pins:
    """The pins of a checkout and its state folder.

    Attributes:
        root: The checkout; a person puts a site's key into `sites/`, no command does.
        state: The state folder.
    """

    root: Path
    state: Path

    def committed(self, site: str) -> Path:
        """Return where the key is that counts for every checkout."""
        return self.root / "sites" / f"{site}{SUFFIX}"

    def own(self, site: str) -> Path:
        """Return where the key is that this platform saw first."""
        return self.state / "evidence" / f"{site}{SUFFIX}"

    def of(self, site: str) -> Pin | None:
        """Return a site's pin.

        Raises:
            OperationError: Its file cannot be read, or holds no Ed25519 key.
        """
        for path in (self.committed(site), self.own(site)):
            if not path.exists():
                continue
            public = evidence.read_key(path)
            # Written as our own files are, so that two of them compare; a person's copy may have more lines.
            pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
            first = path.read_text(encoding="utf-8").partition("\n")[0]
            own = path == self.own(site) and first.startswith(_OF_NAMESPACE)
            namespace = first.removeprefix(_OF_NAMESPACE) if own else ""
            return Pin(site=site, path=path, key=pem, namespace=namespace)
        return None

    def all(self) -> list[Pin]:
        """Return the pin of every site that has one."""
        folders = (self.root / "sites", self.state / "evidence")
        names = {path.name.removesuffix(SUFFIX) for folder in folders for path in folder.glob(f"*{SUFFIX}")}
        return [pin for name in sorted(names) if (pin := self.of(name))]

    def for_certificate(self, path: Path) -> Pin | None:
        """Return the pin of the key that a certificate says it was signed with."""
        said = evidence.signer(path)
        return next((pin for pin in self.all() if pin.fingerprint == said), None)

    def keep(self, site: str, key: str, namespace: str) -> Pin:
        """Pin a key in the state folder."""
        path = evidence.write(self.own(site), f"{_OF_NAMESPACE}{namespace}\n{key}")
        return Pin(site=site, path=path, key=key, namespace=namespace)


def ensure_links(
    cluster: Cluster, pins: Pins, site: str, catalogue: Mapping[str, str]
) -> tuple[list[links.Change], Pin | None]:
    """Make the links of a refresh, unless the key of its certificates is another one than before; pin it at first.

    Args:
        cluster: Where.
        pins: What was seen before.
        site: The site.
        catalogue: See `links.ensure`.

    Returns:
        What was done, and the pin; None before the namespace of the key exists.

    Raises:
        OperationError: The key was exchanged or is gone, with `UNHEALTHY`; nothing is changed.
    """
    pin, changes, space = pins.of(site), [], namespace_uid(cluster, refresh_namespace(site))
    if pin and space is not None:
        found, anew = links.evidence_key(cluster, site), bool(pin.namespace) and space != pin.namespace
        if anew and found != pin.key:
            # Whoever took prod down has taken its key along, and all certificates that it signed stay as they are.
            retired = pins.own(site).with_name(f"{site}.{pin.fingerprint}.retired.pub.pem")
            shutil.move(pin.path, retired)
            changes, pin = [links.Change(name=str(retired), verb="kept for older certificates")], None
        elif found != pin.key:
            raise _changed(pins, pin, found)
        elif anew:
            pin = pins.keep(site, pin.key, space)  # the same key was put into the namespace that was made anew
    changes += links.ensure(cluster, site, catalogue)
    if pin is None and space is not None and (key := links.evidence_key(cluster, site)):
        pin = pins.keep(site, key, space)
        changes.append(links.Change(name=str(pin.path), verb="pinned"))
    return changes, pin


def trusted(cluster: Cluster, pins: Pins, site: str) -> str:
    """Return the key (PEM) that a site's certificates are checked with: the pinned one, or the one that is now pinned.

    Returns:
        Empty when neither a pin nor a key is there.
    """
    pin, space = pins.of(site), namespace_uid(cluster, refresh_namespace(site))
    if pin is None and space is not None and (key := links.evidence_key(cluster, site)):
        pin = pins.keep(site, key, space)
    return pin.key if pin else ""


def _changed(pins: Pins, pin: Pin, found: str) -> Exception:
    secret = f"{refresh_namespace(pin.site)}/{naming.REFRESH_EVIDENCE_SECRET}"
    retired = f"{pin.site}.{pin.fingerprint}.retired.pub.pem"
    return failure(
        ExitCode.UNHEALTHY,
        f"The key that signs the certificates of {pin.site}'s refreshes is not the pinned one",
        f"{pin.path} pins {pin.fingerprint}; the Secret {secret} {'holds another key' if found else 'is gone'}."
        " Whoever has the new key can certify anything",
        f"find out who changed it, and put the old Secret back. To change the key on purpose: mv {pin.path} "
        f"{pins.state / 'evidence' / retired} (older certificates: --key with that file), delete the Secret, and run "
        "./careops up",
    )

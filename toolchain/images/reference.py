"""How images are named: by tag for people, by digest for everything that must find one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from toolchain.errors import BuildFailed

_REFERENCE = re.compile(
    r"(?P<repository>[a-z0-9][a-z0-9.\-]*(?:/[a-z0-9][a-z0-9._\-]*)+):(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127})"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class ImageRef:
    """An image by name and content.

    Attributes:
        repository: For example ``careops.local/odoo``.
        tag: For example ``19.0``.
        digest: Digest of the image's manifest, ``sha256:…``.
    """

    repository: str
    tag: str
    digest: str

    @classmethod
    def parse(cls, reference: str) -> ImageRef:
        """Read ``<domain>/<name>:<tag>@sha256:…``, as `str` writes it.

        Raises:
            BuildFailed: It is no such reference, or names no content: a tag alone could mean another checkout's image.
        """
        tagged, _, digest = reference.partition("@")
        repository, tag = split_reference(tagged)
        if not _DIGEST.fullmatch(digest):
            raise BuildFailed(
                what=f"{reference!r} does not say which image it means",
                why="checkouts share the image store, and each may have another image under the same tag",
                action=f"add the digest: {tagged}@sha256:…",
            )
        return cls(repository=repository, tag=tag, digest=digest)

    @property
    def tagged(self) -> str:
        """The name with its tag only."""
        return f"{self.repository}:{self.tag}"

    @property
    def by_digest(self) -> str:
        """The name with its digest only: what a container runtime looks up for a pinned reference."""
        return f"{self.repository}@{self.digest}"

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}@{self.digest}"


def split_reference(reference: str) -> tuple[str, str]:
    """Split ``host/name:tag`` into repository and tag.

    Raises:
        BuildFailed: The reference has no registry-like first part or no tag.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None or "." not in match["repository"].split("/", 1)[0]:
        raise BuildFailed(
            what=f"{reference!r} is no image reference",
            why="an image is named <domain>/<name>:<tag>; without a domain the runtime would look at a public registry",
            action="write for example careops.local/odoo:19.0",
        )
    return match["repository"], match["tag"]

"""Encryption of Secrets at rest: the API server's EncryptionConfiguration with a key made once."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

import yaml

from toolchain.cluster.files import write_private

if TYPE_CHECKING:
    from pathlib import Path

SECRETBOX_KEY_BYTES = 32
"""XSalsa20-Poly1305 takes a 32 byte key."""


def encryption_configuration(key: bytes) -> str:
    """Return the configuration that encrypts every Secret with secretbox.

    `identity` comes last so that a Secret written before encryption was on stays readable; nothing is written with it.

    Raises:
        ValueError: the key has the wrong length.
    """
    if len(key) != SECRETBOX_KEY_BYTES:
        raise ValueError(f"a secretbox key has {SECRETBOX_KEY_BYTES} bytes, this one has {len(key)}")
    provider = {"secretbox": {"keys": [{"name": "key1", "secret": base64.b64encode(key).decode()}]}}
    return yaml.safe_dump(
        {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "EncryptionConfiguration",
            "resources": [{"resources": ["secrets"], "providers": [provider, {"identity": {}}]}],
        },
        sort_keys=False,
    )


def ensure_encryption_configuration(path: Path) -> None:
    """Write the configuration with a random key unless there is one: a new key would make kept Secrets unreadable."""
    if not path.exists():
        write_private(path, encryption_configuration(secrets.token_bytes(SECRETBOX_KEY_BYTES)))

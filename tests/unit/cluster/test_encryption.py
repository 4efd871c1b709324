"""The configuration that encrypts Secrets in etcd."""

from __future__ import annotations

import base64
import stat

import pytest
import yaml

from toolchain.cluster.encryption import encryption_configuration, ensure_encryption_configuration


def test_secrets_are_written_with_secretbox_and_never_in_clear():
    [rule] = yaml.safe_load(encryption_configuration(b"k" * 32))["resources"]
    assert rule["resources"] == ["secrets"]
    assert next(iter(rule["providers"][0])) == "secretbox", "the first provider is the one that writes"


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(length):
    with pytest.raises(ValueError, match="32 bytes"):
        encryption_configuration(b"k" * length)


def test_the_key_is_random_private_and_made_once(tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    ensure_encryption_configuration(first)
    ensure_encryption_configuration(second)
    assert first.read_text() != second.read_text()
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    before = first.read_text()
    ensure_encryption_configuration(first)
    assert first.read_text() == before, "a new key would make every kept Secret unreadable"
    [entry] = yaml.safe_load(before)["resources"][0]["providers"][0]["secretbox"]["keys"]
    assert len(base64.b64decode(entry["secret"])) == 32

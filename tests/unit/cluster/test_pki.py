"""The cluster's keys and certificates."""

from __future__ import annotations

import base64
import datetime as dt
import stat

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from toolchain.cluster.pki import (
    AUTHORITIES,
    AUTHORITY_LIFE,
    LEAF_LIFE,
    RENEW_BEFORE,
    certificates,
    ensure_pki,
    host_kubeconfig,
)
from toolchain.cluster.spec import ClusterSpec

SPEC = ClusterSpec(api_port=16999)
NOW = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)


@pytest.fixture
def folder(tmp_path):
    ensure_pki(tmp_path / "pki", SPEC, now=NOW)
    return tmp_path / "pki"


def load(folder, name):
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


def snapshot(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_certificate_is_signed_by_its_authority_and_no_other(folder):
    for wanted in certificates(SPEC):
        certificate = load(folder, wanted.name)
        for authority in AUTHORITIES:
            if authority == wanted.authority:
                certificate.verify_directly_issued_by(load(folder, authority))
            else:
                with pytest.raises(ValueError, match="not match"):
                    certificate.verify_directly_issued_by(load(folder, authority))


def test_a_client_certificate_is_no_server_and_no_authority(folder):
    admin = load(folder, "admin")
    usages = admin.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not admin.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_only_the_administrator_is_above_all_roles():
    masters = [wanted.name for wanted in certificates(SPEC) if wanted.organisation == "system:masters"]
    assert masters == ["admin"]


def test_the_api_server_is_known_by_every_name_that_reaches_it(folder):
    names = load(folder, "apiserver").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", SPEC.node_address, SPEC.service_address}
    assert "kubernetes.default.svc" in names.get_values_for_type(x509.DNSName)


def test_keys_can_be_read_by_their_owner_only(folder):
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_a_second_run_changes_no_byte(folder):
    before = snapshot(folder)
    assert ensure_pki(folder, SPEC, now=NOW + dt.timedelta(days=1)) == ()
    assert snapshot(folder) == before


def test_a_certificate_close_to_its_end_is_renewed_and_its_authority_kept(folder):
    authority = (folder / "ca.crt").read_bytes()
    issued = ensure_pki(folder, SPEC, now=NOW + LEAF_LIFE - RENEW_BEFORE)
    assert set(issued) == {wanted.name for wanted in certificates(SPEC)}
    assert (folder / "ca.crt").read_bytes() == authority


def test_an_authority_close_to_its_end_takes_its_certificates_with_it(folder):
    issued = ensure_pki(folder, SPEC, now=NOW + AUTHORITY_LIFE - RENEW_BEFORE)
    assert set(issued) == {*AUTHORITIES, *(wanted.name for wanted in certificates(SPEC))}


def test_the_key_of_service_accounts_outlives_every_renewal(folder):
    before = (folder / "service-account.key").read_bytes()
    ensure_pki(folder, SPEC, now=NOW + AUTHORITY_LIFE)
    assert (folder / "service-account.key").read_bytes() == before, "a new key would end every running pod's token"


def test_a_certificate_from_the_future_is_made_again(folder):
    assert "admin" in ensure_pki(folder, SPEC, now=NOW - dt.timedelta(days=30))


@pytest.mark.parametrize("damage", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA"])
def test_a_file_cut_short_by_a_crash_is_made_again_and_nothing_else_is(folder, damage):
    (folder / "kubelet.crt").write_bytes(damage)
    assert ensure_pki(folder, SPEC, now=NOW) == ("kubelet",)


def test_a_key_that_belongs_to_another_certificate_is_noticed(folder):
    (folder / "kubelet.key").write_bytes((folder / "kube-proxy.key").read_bytes())
    assert ensure_pki(folder, SPEC, now=NOW) == ("kubelet",)


def test_a_certificate_of_a_lost_authority_is_made_again(folder):
    (folder / "etcd-ca.key").unlink()
    assert set(ensure_pki(folder, SPEC, now=NOW)) == {"etcd-ca", "etcd-server", "apiserver-etcd"}


def test_another_node_address_gives_another_server_certificate(folder):
    issued = ensure_pki(folder, ClusterSpec(node_address="10.199.0.3"), now=NOW)
    assert set(issued) == {"apiserver", "kubelet-server"}


def test_the_hosts_kubeconfig_is_complete_in_itself(folder):
    config = yaml.safe_load(host_kubeconfig(folder, SPEC))
    assert config["current-context"] == "careops"
    assert [context["name"] for context in config["contexts"]] == ["careops"]
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:16999"
    key = serialization.load_pem_private_key(
        base64.b64decode(config["users"][0]["user"]["client-key-data"]), password=None
    )
    certificate = x509.load_pem_x509_certificate(
        base64.b64decode(config["users"][0]["user"]["client-certificate-data"])
    )
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == certificate.public_key()


def test_the_nodes_own_kubeconfigs_follow_a_renewal(folder):
    ensure_pki(folder, SPEC, now=NOW + LEAF_LIFE)
    config = yaml.safe_load((folder / "kubelet.conf").read_text())
    assert (
        base64.b64decode(config["users"][0]["user"]["client-certificate-data"]) == (folder / "kubelet.crt").read_bytes()
    )

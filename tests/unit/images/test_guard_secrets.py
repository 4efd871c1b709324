"""Secrets are made once, through the API, and never changed, but for a certificate that no longer fits."""

from __future__ import annotations

import base64
import datetime
import http.server
import json
import ssl
import threading

import pytest
from careops_odoo.certificates import LIFETIME, RENEWAL, make_edge_certificate
from careops_odoo.errors import Refused, Unavailable
from careops_odoo.kubernetes import Api, Secret
from careops_odoo.secret_maker import make_missing
from cryptography import x509

from operations.certificates import RENEWAL_DAYS, read_certificate

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
LABELS = {"careops.io/environment": "dev"}
NAMES = ("edge", "edge.riverside-dev", "dev.riverside.example.org", "riverside-dev.localhost")


class Store:
    """Secrets in memory."""

    def __init__(self, *secrets):
        self.secrets = {secret.name: secret for secret in secrets}

    def read_secret(self, name):
        return self.secrets.get(name)

    def create_secret(self, secret):
        return self.secrets.setdefault(secret.name, secret) is secret

    def replace_secret(self, secret):
        self.secrets[secret.name] = secret
        return True


def made(store, identity="riverside/dev", names=NAMES):
    lines = []
    make_missing(store, identity=identity, names=names, labels=LABELS, say=lines.append)
    return lines


def tls_secret(*, identity="riverside/dev", names=NAMES, left=LIFETIME):
    """Return an `edge-tls` whose certificate has so much time left."""
    pair = make_edge_certificate(identity, names, datetime.datetime.now(datetime.UTC) + left - LIFETIME)
    values = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": pair.authority}
    return Secret(name="edge-tls", values=values, labels={"kept": "yes"}, kind="kubernetes.io/tls", version="7")


def test_both_secrets_are_made_with_every_key_and_no_value_reaches_the_log():
    store = Store()
    lines = made(store)
    login, tls = store.secrets["odoo-secrets"], store.secrets["edge-tls"]
    assert set(login.values) == {"identity", "admin_login", "admin_password", "master_password", "login_serial"}
    assert login.values["identity"] == b"riverside/dev"
    assert len(login.values["admin_password"]) >= 32
    assert tls.kind == "kubernetes.io/tls"
    assert b"BEGIN CERTIFICATE" in tls.values["ca.crt"]
    assert login.labels == LABELS
    for secret in (login, tls):
        assert not any(value.decode() in line for value in secret.values.values() for line in lines if len(value) > 20)


def test_a_second_run_changes_nothing():
    store = Store()
    made(store)
    before = dict(store.secrets)
    login, tls = made(store)
    assert login == "secret odoo-secrets: kept"
    assert tls.startswith("secret edge-tls: kept; the certificate is good until 20")
    assert store.secrets == before


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (tls_secret(names=NAMES[:-1]), "it lacks riverside-dev.localhost"),
        (tls_secret(names=("localhost", *NAMES)), "it is also for localhost"),
        (tls_secret(left=RENEWAL - datetime.timedelta(hours=1)), "in 59 days"),
        (tls_secret(left=datetime.timedelta(hours=-1)), "it expired on"),
    ],
    ids=["a name more", "a name less", "59 days left", "expired"],
)
def test_a_certificate_that_no_longer_fits_is_made_anew_with_its_authority_and_says_why(found, why):
    store = Store(found)
    lines = made(store)
    renewed = store.secrets["edge-tls"]
    assert why in lines[1]
    assert "authority made anew" in lines[1]
    assert renewed.values["ca.crt"] != found.values["ca.crt"]
    assert (renewed.version, renewed.labels, renewed.kind) == ("7", {"kept": "yes"}, "kubernetes.io/tls")
    assert made(store)[1].startswith("secret edge-tls: kept;")


def test_a_certificate_with_more_than_sixty_days_left_and_every_name_in_any_order_is_kept():
    found = tls_secret(names=NAMES[::-1], left=RENEWAL + datetime.timedelta(hours=1))
    store = Store(found)
    assert made(store)[1].startswith("secret edge-tls: kept;")
    assert store.secrets["edge-tls"] is found


def test_the_job_and_the_commands_judge_a_certificate_alike():
    assert datetime.timedelta(days=RENEWAL_DAYS) == RENEWAL
    found = read_certificate({"data": {"tls.crt": base64.b64encode(tls_secret().values["tls.crt"]).decode()}})
    assert found is not None
    assert found.own


def test_a_certificate_of_another_authority_is_never_replaced_and_its_faults_are_told():
    found = tls_secret(identity="the hospital's own", left=datetime.timedelta(days=3))
    store = Store(found)
    line = made(store)[1]
    assert store.secrets["edge-tls"] is found
    assert "kept, although it expires on" in line
    assert "another authority signed it" in line


def test_a_secret_that_holds_no_certificate_is_refused_with_what_to_do():
    broken = Secret(name="edge-tls", values={"tls.crt": b"x", "tls.key": b"x", "ca.crt": b"x"}, labels={})
    with pytest.raises(Refused, match="holds no certificate"):
        made(Store(broken))


def test_two_environments_never_get_the_same_values():
    one, two = Store(), Store()
    made(one), made(two)
    assert one.secrets["odoo-secrets"].values["admin_password"] != two.secrets["odoo-secrets"].values["admin_password"]


def test_another_environment_s_secret_is_refused():
    store = Store()
    made(store, "riverside/prod")
    with pytest.raises(Refused, match="belongs to riverside/prod"):
        made(store)


def test_an_incomplete_secret_is_refused_and_not_completed():
    store = Store(Secret(name="odoo-secrets", values={"identity": b"riverside/dev"}, labels={}))
    with pytest.raises(Refused, match="lacks admin_login, admin_password, master_password"):
        made(store)
    assert set(store.secrets["odoo-secrets"].values) == {"identity"}


def test_the_certificate_verifies_against_its_own_authority_for_every_name_of_the_edge(tmp_path):
    pair = make_edge_certificate("riverside/dev", NAMES, datetime.datetime.now(datetime.UTC))
    for name, data in (("crt", pair.certificate), ("key", pair.key), ("ca", pair.authority)):
        (tmp_path / name).write_bytes(data)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    for name in NAMES:
        handshake(server, ssl.create_default_context(cafile=str(tmp_path / "ca")), name)
    # What all environments would share, and with it a browser's cookies.
    for name in ("edge.riverside-prod", "localhost", "127.0.0.1"):
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(server, ssl.create_default_context(cafile=str(tmp_path / "ca")), name)
    other = make_edge_certificate("riverside/dev", NAMES, datetime.datetime.now(datetime.UTC))
    (tmp_path / "ca").write_bytes(other.authority)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, ssl.create_default_context(cafile=str(tmp_path / "ca")), "edge")


def handshake(server, client, name):
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname=name)
    two = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (one, two, one, two):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue


def test_the_authority_can_sign_no_further_authority_and_the_certificate_nothing():
    pair = make_edge_certificate("riverside/dev", ("edge",), NOW)
    authority, certificate = (x509.load_pem_x509_certificate(pem) for pem in (pair.authority, pair.certificate))
    constraints = [c.extensions.get_extension_for_class(x509.BasicConstraints).value for c in (authority, certificate)]
    assert [(c.ca, c.path_length) for c in constraints] == [(True, 0), (False, None)]
    assert (certificate.not_valid_after_utc - NOW).days <= 398


@pytest.fixture
def api_server():
    state = {"secrets": {}, "seen": [], "deny": False}

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, status, document):
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            state["seen"].append((self.path, self.headers["Authorization"]))
            found = state["secrets"].get(self.path.rsplit("/", 1)[1])
            self.answer(*((403, {}) if state["deny"] else (200, found) if found else (404, {})))

        def do_POST(self):
            document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = document["metadata"]["name"]
            if name in state["secrets"]:
                self.answer(409, {})
            else:
                state["secrets"][name] = document
                document["metadata"]["resourceVersion"] = "1"
                self.answer(201, document)

        def do_PUT(self):
            document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            now = state["secrets"].get(self.path.rsplit("/", 1)[1])
            if now is None or now["metadata"]["resourceVersion"] != document["metadata"]["resourceVersion"]:
                self.answer(404 if now is None else 409, {})
            else:
                document["metadata"]["resourceVersion"] += "1"
                state["secrets"][document["metadata"]["name"]] = document
                self.answer(200, document)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Api(url=f"http://127.0.0.1:{server.server_port}", namespace="ns", token="t0ken", ca=None), state
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_api_is_asked_in_the_pod_s_namespace_with_its_token(api_server):
    api, state = api_server
    assert api.read_secret("absent") is None
    assert state["seen"] == [("/api/v1/namespaces/ns/secrets/absent", "Bearer t0ken")]


def test_secrets_survive_the_round_trip_and_the_loser_of_a_race_leaves_the_winner_s(api_server):
    api, _ = api_server
    first = Secret(name="s", values={"k": b"\x00\xff"}, labels={"a": "b"})
    assert api.create_secret(first)
    assert not api.create_secret(Secret(name="s", values={"k": b"other"}, labels={}))
    assert api.read_secret("s") == first
    assert make_missing(api, identity="a/dev", names=NAMES, labels={}, say=lambda _: None) is None


def test_a_secret_is_replaced_only_as_it_was_read(api_server):
    api, _ = api_server
    api.create_secret(Secret(name="s", values={"k": b"old"}, labels={}))
    read = api.read_secret("s")
    newer = Secret(name="s", values={"k": b"new"}, labels={}, version=read.version)
    assert api.replace_secret(newer)
    assert not api.replace_secret(newer), "it was changed since it was read"
    assert api.read_secret("s").values == {"k": b"new"}
    assert not api.replace_secret(Secret(name="absent", values={}, labels={}, version="1"))


def test_a_refusal_of_the_api_is_an_error_and_no_absence(api_server):
    api, state = api_server
    state["deny"] = True
    with pytest.raises(Unavailable, match="403"):
        api.read_secret("s")


def test_a_pod_without_a_service_account_is_refused(tmp_path):
    with pytest.raises(Refused, match="service account"):
        Api.from_pod({}, tmp_path)

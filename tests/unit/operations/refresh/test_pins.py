"""The key that certificates are checked with is pinned once, and never changes unnoticed."""

from __future__ import annotations

import base64

import pytest

from operations.errors import OperationError
from operations.exit_codes import ExitCode
from operations.refresh import keys, links
from operations.refresh.pins import Pins, ensure_links, trusted

SPACE = "/api/v1/namespaces/riverside-refresh"
SECRET = f"{SPACE}/secrets/refresh-evidence"


@pytest.fixture
def pins(tmp_path):
    (tmp_path / "root" / "sites").mkdir(parents=True)
    return Pins(root=tmp_path / "root", state=tmp_path / "state")


@pytest.fixture
def known(cluster):
    cluster.objects[SPACE] = {"metadata": {"uid": "first"}, "status": {"phase": "Active"}}
    return cluster


def anew(cluster, uid="second"):
    """Take the namespace down and make it again."""
    for path in [path for path in cluster.objects if path.startswith(SPACE)]:
        del cluster.objects[path]
    cluster.objects[SPACE] = {"metadata": {"uid": uid}, "status": {"phase": "Active"}}


def test_the_first_key_is_pinned_and_the_second_pass_does_nothing(known, pins):
    changes, pin = ensure_links(known, pins, "riverside", {})
    assert [change.name for change in changes if change.verb == "pinned"] == [str(pins.own("riverside"))]
    assert pin.key == links.evidence_key(known, "riverside")
    assert pins.of("riverside") == pin
    assert ensure_links(known, pins, "riverside", {}) == ([], pin)


def test_before_the_namespace_is_there_nothing_is_pinned(cluster, pins):
    del cluster.objects[SPACE]
    assert ensure_links(cluster, pins, "riverside", {})[1] is None
    assert trusted(cluster, pins, "riverside") == ""
    assert pins.all() == []


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("how", ["exchanged", "lost"])
def test_a_key_that_changed_stops_everything_before_anything_is_made(known, pins, how, committed):
    _, pin = ensure_links(known, pins, "riverside", {})
    if committed:
        pins.committed("riverside").write_text(pins.own("riverside").read_text())
    if how == "exchanged":
        known.objects[SECRET]["data"]["key.pem"] = base64.b64encode(keys.new_evidence_key()).decode()
    else:
        del known.objects[SECRET]
    written = len(known.applied)
    with pytest.raises(OperationError) as told:
        ensure_links(known, pins, "riverside", {})
    assert told.value.code == ExitCode.UNHEALTHY
    (problem,) = told.value.problems
    assert pin.fingerprint in problem.why
    assert "delete the Secret" in problem.action
    assert len(known.applied) == written


def test_a_deliberate_rotation_follows_what_the_error_says(known, pins):
    _, old = ensure_links(known, pins, "riverside", {})
    old.path.rename(old.path.with_name(f"riverside.{old.fingerprint}.retired.pub.pem"))
    del known.objects[SECRET]
    _, new = ensure_links(known, pins, "riverside", {})
    assert new.fingerprint != old.fingerprint
    assert [pin.site for pin in pins.all()] == ["riverside"], "a retired key is no pin"


def test_a_prod_that_was_taken_down_and_made_again_gets_a_new_pin_and_the_old_key_is_kept(known, pins):
    _, old = ensure_links(known, pins, "riverside", {})
    anew(known)
    changes, new = ensure_links(known, pins, "riverside", {})
    assert new.key != old.key
    assert "kept for older certificates" in {change.verb for change in changes}
    retired = pins.state / "evidence" / f"riverside.{old.fingerprint}.retired.pub.pem"
    assert old.key in retired.read_text()


def test_where_a_key_is_committed_even_a_prod_that_was_made_again_must_have_it(known, pins):
    ensure_links(known, pins, "riverside", {})
    pins.committed("riverside").write_text(pins.own("riverside").read_text())
    anew(known)
    with pytest.raises(OperationError, match="is not the pinned one"):
        ensure_links(known, pins, "riverside", {})


def test_a_key_that_was_put_back_into_a_namespace_that_was_made_again_is_pinned_to_that_one(known, pins):
    _, old = ensure_links(known, pins, "riverside", {})
    secret = known.objects[SECRET]
    anew(known)
    known.objects[SECRET] = secret
    _, new = ensure_links(known, pins, "riverside", {})
    assert (new.key, new.namespace) == (old.key, "second")


def test_a_committed_key_counts_before_the_one_that_was_seen_first(known, pins):
    ensure_links(known, pins, "riverside", {})
    other = keys.public_key(keys.new_evidence_key())
    pins.committed("riverside").write_bytes(other)
    assert trusted(known, pins, "riverside").encode() == other


def test_a_pin_that_is_no_key_is_an_error_and_not_no_pin(known, pins):
    pins.committed("riverside").write_text("nothing")
    with pytest.raises(OperationError) as told:
        ensure_links(known, pins, "riverside", {})
    assert told.value.code == ExitCode.USAGE

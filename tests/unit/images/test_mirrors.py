"""Debian mirrors come from apt's own files."""

from __future__ import annotations

import pytest

from toolchain.errors import HostUnfit
from toolchain.images.mirrors import Mirrors, read_mirrors

MAIN, SECURITY = "http://mirror.test/debian", "http://mirror.test/debian-security"

DEB822 = f"""\
Types: deb
# http://elsewhere.test/snapshot
URIs: {MAIN}/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/x.gpg

Types: deb
URIs: {SECURITY}
Suites: bookworm-security
Components: main contrib
"""

ONE_LINE = f"""\
# deb http://commented.test/debian bookworm main
deb-src http://source.test/debian bookworm main
deb [arch=amd64 signed-by=/x.gpg] {MAIN} bookworm main contrib
deb {SECURITY} bookworm-security main
"""

OTHERS = "deb https://packages.vendor.test/apt vendor-bookworm main\ndeb https://node.test/x nodistro main\n"


@pytest.fixture
def apt(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "os-release").write_text("ID=debian\nVERSION_CODENAME=bookworm\n")
    (tmp_path / "sources.list.d" / "aaa-vendor.list").write_text(OTHERS)
    return tmp_path


def found(apt, environ=None):
    return read_mirrors(environ or {}, apt, apt / "os-release")


@pytest.mark.parametrize(
    ("name", "text"),
    [("sources.list.d/debian.sources", DEB822), ("sources.list", ONE_LINE)],
    ids=["deb822", "one-line"],
)
def test_debian_s_sources_are_found_in_both_formats_and_other_vendors_passed_over(apt, name, text):
    (apt / name).write_text(text)
    assert found(apt) == Mirrors(archive=MAIN, security=SECURITY)


def test_disabled_and_source_only_stanzas_do_not_count(apt):
    text = DEB822.replace("Types: deb\n#", "Types: deb-src\n#") + "\n" + DEB822.replace("\n\n", "\nEnabled: no\n\n")
    (apt / "sources.list.d" / "debian.sources").write_text(text)
    with pytest.raises(HostUnfit, match="CAREOPS_DEBIAN_MIRROR"):
        found(apt)


def test_a_list_of_mirrors_is_replaced_by_its_first_address(apt):
    (apt / "mirrors.list").write_text(f"# comment\n{MAIN}\tpriority:1\nhttp://second.test/debian\n")
    (apt / "sources.list").write_text(
        f"deb mirror+file:{apt}/mirrors.list bookworm main\ndeb {SECURITY} bookworm-security main\n"
    )
    assert found(apt).archive == MAIN
    (apt / "mirrors.list").write_text("# nothing\n")
    with pytest.raises(HostUnfit, match="names no mirror"):
        found(apt)


def test_variables_override_and_suffice(apt):
    environ = {"CAREOPS_DEBIAN_MIRROR": "http://a.test/d", "CAREOPS_DEBIAN_SECURITY_MIRROR": "http://b.test/s/"}
    assert found(apt, environ) == Mirrors(archive="http://a.test/d", security="http://b.test/s")
    (apt / "sources.list").write_text(ONE_LINE)
    assert found(apt, {"CAREOPS_DEBIAN_MIRROR": "http://a.test/d"}) == Mirrors(
        archive="http://a.test/d", security=SECURITY
    )


def test_a_machine_of_another_distribution_is_told_what_to_set(apt):
    (apt / "sources.list").write_text("deb http://archive.test/other jammy main\n")
    with pytest.raises(HostUnfit, match="no Debian package source"):
        found(apt)

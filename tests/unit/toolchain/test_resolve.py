from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from toolchain import builds, resolve, versions
from toolchain.errors import BuildFailed, ToolchainError

if TYPE_CHECKING:
    from pathlib import Path

NEWER = "3.300.1"


@pytest.mark.parametrize(
    ("version", "wanted", "holds"),
    [
        ("3.259.0", ">=3.259.0,<4", True),
        ("v3.300.1", ">=3.259.0,<4", True),
        ("3.258.9", ">=3.259.0,<4", False),
        ("4.0.0", ">=3.259.0,<4", False),
        ("3.260.0-alpha.1", ">=3.259.0,<4", False),
        ("", ">=3.259.0,<4", False),
        ("1.2.3", "==1.2.3", True),
        ("1.10.0", "<1.9", False),
    ],
)
def test_versions_are_compared_by_number(version: str, wanted: str, holds: bool):
    assert resolve.version_in_range(version, wanted) is holds


def test_a_range_of_another_form_is_an_error_and_not_a_no():
    with pytest.raises(ValueError, match="~=3"):
        resolve.version_in_range("3.0.0", "~=3")


class Vendor:
    """Puts the vendor's archives on a server."""

    def __init__(self, server, tar_of) -> None:
        self.server = server
        self._tar_of = tar_of

    def offer_everything(self, *, lie: bool = False) -> None:
        host = "pulumi/pulumi-language-python"
        self._offer(resolve.sdk_archive(), {"pulumi/pulumi": "engine", host: "host"}, lie=lie)
        self._offer(resolve.kubernetes_archive(), {"pulumi-resource-kubernetes": "plugin"}, lie=lie)

    def _offer(self, archive, members: dict[str, str], *, lie: bool) -> None:
        content = self._tar_of(members)
        checksum = "0" * 64 if lie else hashlib.sha256(content).hexdigest()
        folder = archive.folder.removeprefix(self.server.site)
        self.server.files[f"{folder}/{archive.file}"] = content
        self.server.files[f"{folder}/{archive.checksum_files[0]}"] = f"{checksum}  {archive.file}\n".encode()


@pytest.fixture
def vendor_site(server, tar_of, monkeypatch) -> Vendor:
    sdk, kubernetes = resolve.sdk_archive, resolve.kubernetes_archive
    monkeypatch.setattr(resolve, "sdk_archive", lambda: sdk(site=server.site))
    monkeypatch.setattr(resolve, "kubernetes_archive", lambda: kubernetes(site=server.site))
    return Vendor(server, tar_of)


@pytest.fixture
def registry(monkeypatch, tmp_path: Path) -> list[str]:
    """Stand in for the build from sources; return the list of what was built."""
    built: list[str] = []

    def ensure(_paths, name, _reporter, *, environ=None) -> Path:  # noqa: ARG001  the real one's signature
        built.append(name)
        (tmp_path / "built" / "bin").mkdir(parents=True, exist_ok=True)
        (tmp_path / "built" / "bin" / "pulumi").touch(mode=0o755)
        return tmp_path / "built"

    monkeypatch.setattr(builds, "ensure", ensure)
    return built


def engine_on_path(program, version: str, *, host: bool = False) -> dict[str, str]:
    folder = program("pulumi", f"#!/bin/sh\necho v{version}\n").parent
    if host:
        program("pulumi-language-python", "#!/bin/sh\n")
    return {"PATH": f"{folder}:/usr/bin:/bin", "HOME": "/nonexistent"}


BARE = {"PATH": "/nonexistent", "HOME": "/nonexistent"}


def test_a_compatible_engine_on_the_path_is_used_and_nobody_is_asked(paths, reporter, program, vendor_site, registry):
    vendor_site.offer_everything()
    found = resolve.resolve_engine(paths, reporter, engine_on_path(program, NEWER))
    assert (found.source, found.version, found.passed_over) == ("PATH", NEWER, ())
    assert (vendor_site.server.asked, registry) == ([], [])


def test_an_engine_on_the_path_that_is_too_old_is_passed_over_and_the_reason_is_told(
    paths, reporter, program, vendor_site, registry
):
    vendor_site.offer_everything()
    found = resolve.resolve_engine(paths, reporter, engine_on_path(program, "3.100.0"))
    assert found.source == "vendor"
    assert found.executable.read_text() == "engine"
    assert "3.100.0" in found.passed_over[0]
    assert registry == []


@pytest.mark.usefixtures("vendor_site", "registry")
def test_an_engine_that_careops_put_on_the_path_itself_is_not_the_users(paths, reporter):
    paths.bin.mkdir(parents=True)
    (paths.bin / "pulumi").write_text("#!/bin/sh\necho v3.300.0\n")
    (paths.bin / "pulumi").chmod(0o755)
    found = resolve.resolve_engine(paths, reporter, BARE | {"PATH": str(paths.bin)})
    assert found.source == "registry"


def test_the_vendors_archive_is_used_before_a_build_and_kept(paths, reporter, vendor_site, registry):
    vendor_site.offer_everything()
    first = resolve.resolve_engine(paths, reporter, BARE)
    asked = len(vendor_site.server.asked)
    second = resolve.resolve_engine(paths, reporter, BARE)
    assert first.source == second.source == "vendor"
    assert first.executable == second.executable
    assert len(vendor_site.server.asked) == asked, "the second time it comes from the cache"
    assert registry == []


def test_a_vendor_that_refuses_leads_to_the_build_and_is_left_alone_for_a_day(paths, reporter, vendor_site, registry):
    vendor_site.server.status = 403
    found = resolve.resolve_engine(paths, reporter, BARE)
    assert found.source == "registry"
    assert any("403" in reason for reason in found.passed_over)
    asked = len(vendor_site.server.asked)
    again = resolve.resolve_engine(paths, reporter, BARE)
    assert len(vendor_site.server.asked) == asked
    assert any("within the last day" in reason for reason in again.passed_over)
    resolve.resolve_engine(paths, reporter, BARE | {"CAREOPS_VENDOR_DOWNLOADS": "always"})
    assert len(vendor_site.server.asked) > asked
    assert registry == ["pulumi"] * 3


def test_an_archive_with_a_wrong_checksum_is_never_used(paths, reporter, vendor_site, registry):
    vendor_site.offer_everything(lie=True)
    found = resolve.resolve_engine(paths, reporter, BARE)
    assert found.source == "registry"
    assert any("not what its checksum says" in reason for reason in found.passed_over)
    assert registry == ["pulumi"]


def test_never_means_that_the_vendor_is_not_asked(paths, reporter, vendor_site, registry):
    vendor_site.offer_everything()
    found = resolve.resolve_engine(paths, reporter, BARE | {"CAREOPS_VENDOR_DOWNLOADS": "never"})
    assert found.source == "registry"
    assert vendor_site.server.asked == []
    assert registry == ["pulumi"]


def test_an_unknown_choice_is_refused_with_the_known_ones(paths, reporter, vendor_site, registry):
    with pytest.raises(ToolchainError, match="auto, never, always"):
        resolve.resolve_engine(paths, reporter, BARE | {"CAREOPS_VENDOR_DOWNLOADS": "yes"})
    assert (vendor_site.server.asked, registry) == ([], [])


def test_when_the_last_way_fails_its_error_is_the_callers(paths, reporter, vendor_site, monkeypatch):
    def fail(*_args, **_options) -> Path:
        raise BuildFailed("no build", why="w", action="a")

    monkeypatch.setattr(builds, "ensure", fail)
    vendor_site.server.status = 403
    with pytest.raises(BuildFailed, match="no build"):
        resolve.resolve_engine(paths, reporter, BARE)


def never() -> Path:
    raise AssertionError("the stand-in was made although the vendor's is there")


def test_the_language_host_beside_the_engine_is_the_one_to_use(paths, reporter, program):
    environ = engine_on_path(program, NEWER, host=True)
    engine = resolve.resolve_engine(paths, reporter, environ)
    host = resolve.resolve_language_host(engine, never)
    assert (host.source, host.stand_in) == ("PATH", False)
    assert host.executable.parent == engine.executable.parent


def test_an_engine_without_a_language_host_gets_the_stand_in_and_that_is_told(paths, reporter, program, tmp_path):
    engine = resolve.resolve_engine(paths, reporter, engine_on_path(program, NEWER))
    host = resolve.resolve_language_host(engine, lambda: tmp_path / "ours")
    assert host.stand_in
    assert host.executable == tmp_path / "ours"
    assert "beside" in host.passed_over[0]


def test_the_users_plugin_is_used_at_exactly_the_version_programs_ask_for(paths, reporter, vendor_site, tmp_path):
    vendor_site.offer_everything()
    version = versions.PULUMI_KUBERNETES
    home = tmp_path / "home"
    plugin = home / ".pulumi" / "plugins" / f"resource-kubernetes-v{version}" / "pulumi-resource-kubernetes"
    plugin.parent.mkdir(parents=True)
    plugin.touch(mode=0o755)
    found = resolve.resolve_kubernetes_plugin(paths, reporter, BARE | {"HOME": str(home)}, never)
    assert (found.source, found.executable, found.stand_in) == ("PATH", plugin, False)
    plugin.parent.rename(plugin.parent.with_name("resource-kubernetes-v4.0.0"))
    found = resolve.resolve_kubernetes_plugin(paths, reporter, BARE | {"HOME": str(home)}, never)
    assert found.source == "vendor"


@pytest.mark.usefixtures("vendor_site")
def test_a_plugin_in_careops_own_pulumi_home_does_not_count_as_the_users(paths, reporter, tmp_path):
    version = versions.PULUMI_KUBERNETES
    ours = paths.pulumi_home / "plugins" / f"resource-kubernetes-v{version}" / "pulumi-resource-kubernetes"
    ours.parent.mkdir(parents=True)
    ours.touch(mode=0o755)
    environ = BARE | {"PULUMI_HOME": str(paths.pulumi_home)}
    found = resolve.resolve_kubernetes_plugin(paths, reporter, environ, lambda: tmp_path / "stand-in")
    assert found.stand_in


def test_without_the_vendor_the_plugin_is_the_stand_in_and_every_reason_is_told(paths, reporter, vendor_site, tmp_path):
    vendor_site.server.status = 403
    found = resolve.resolve_kubernetes_plugin(paths, reporter, BARE, lambda: tmp_path / "stand-in")
    assert (found.source, found.stand_in) == ("registry", True)
    assert len(found.passed_over) == 2


def test_archives_are_named_for_the_processor():
    assert resolve.sdk_archive(machine="aarch64").file.endswith("linux-arm64.tar.gz")
    assert resolve.sdk_archive(machine="x86_64").file == f"pulumi-v{versions.PULUMI}-linux-x64.tar.gz"
    assert resolve.kubernetes_archive(machine="x86_64").file.endswith("linux-amd64.tar.gz")

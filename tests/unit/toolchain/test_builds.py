from __future__ import annotations

import dataclasses
import os
import re

import pytest

from toolchain import builds, golang, recipes, versions
from toolchain.errors import BuildFailed, DownloadRefused, ToolchainError
from toolchain.store import Store
from toolchain.tasks import order

PINS = {
    "pulumi": [
        ("github.com/pulumi/pulumi/pkg/v3", versions.PULUMI),
        ("github.com/pulumi/pulumi/sdk/v3", versions.PULUMI),
    ],
    "kube": [("k8s.io/kubernetes", versions.KUBERNETES), ("go.etcd.io/etcd/server/v3", versions.ETCD)],
    "containerd": [("github.com/containerd/containerd/v2", versions.CONTAINERD)],
    "runc": [("github.com/opencontainers/runc", versions.RUNC)],
    "cni": [("github.com/containernetworking/plugins", versions.CNI_PLUGINS)],
    "nsfwd": [("golang.org/x/sys", versions.GOLANG_X_SYS)],
    "coredns": [("github.com/coredns/coredns", versions.COREDNS)],
    "calico": [("github.com/projectcalico/calico", versions.CALICO_MODULE)],
    "local-path-provisioner": [("github.com/rancher/local-path-provisioner", versions.LOCAL_PATH_PROVISIONER)],
    "cloudnative-pg": [("github.com/cloudnative-pg/cloudnative-pg", versions.CLOUDNATIVE_PG)],
}
BUILD = recipes.GoBuild(name="toy", version="1.2", packages=("example.org/toy",), programs=("toy",), links=("alias",))


class Toy:
    """A build of one program, in a checkout of its own."""

    def __init__(self, paths, reporter) -> None:
        self.paths = paths
        self.reporter = reporter
        self.module = paths.modules / "toy"
        self.module.mkdir(parents=True)
        (self.module / "go.mod").write_text("module toy\n")
        (self.module / "go.sum").write_text("")

    def ensure(self, environ):
        return builds.ensure(self.paths, "toy", self.reporter, environ=environ)

    def fetch(self, environ) -> None:
        builds.fetch(self.paths, "toy", self.reporter, environ=environ)


@pytest.fixture
def toy(paths, reporter, monkeypatch) -> Toy:
    use(monkeypatch, BUILD)
    return Toy(paths, reporter)


def use(monkeypatch, build: recipes.GoBuild) -> None:
    monkeypatch.setattr(builds, "BUILDS", {build.name: build})


def test_every_build_has_a_committed_module_with_checksums_and_every_module_a_build(checkout):
    folders = {path.name for path in (checkout / "toolchain" / "modules").iterdir() if path.is_dir()}
    assert folders == set(recipes.BUILDS)
    for name in folders:
        assert (checkout / "toolchain" / "modules" / name / "go.sum").stat().st_size > 0
    assert set(PINS) == folders, "this test must know every build"


@pytest.mark.parametrize("name", PINS)
def test_the_modules_pin_the_versions_that_the_versions_file_names(name: str, checkout):
    text = (checkout / "toolchain" / "modules" / name / "go.mod").read_text()
    sums = (checkout / "toolchain" / "modules" / name / "go.sum").read_text()
    for module, version in PINS[name]:
        version = f"v{version.removeprefix('v')}"  # noqa: PLW2901  modules write it so
        assert re.search(
            rf"^(require )?\s*{re.escape(module)} {re.escape(version)}( // indirect)?$", text, re.MULTILINE
        )
        assert f"{module} {version} h1:" in sums


def test_the_api_module_that_calico_takes_from_its_own_folder_is_the_pinned_one(checkout):
    module = checkout / "toolchain" / "modules" / "calico"
    api = "github.com/projectcalico/api"
    assert f"{api} => {api} {versions.CALICO_API_MODULE}\n" in (module / "go.mod").read_text()
    assert f"{api} {versions.CALICO_API_MODULE} h1:" in (module / "go.sum").read_text()


def test_every_staging_module_of_kubernetes_is_replaced_by_the_version_of_the_same_release(checkout):
    text = (checkout / "toolchain" / "modules" / "kube" / "go.mod").read_text()
    replaced = re.findall(r"k8s\.io/[\w-]+ => (k8s\.io/[\w-]+) (v\S+)", text)
    assert len(replaced) > 25
    assert {version for _, version in replaced} == {f"v0.{versions.KUBERNETES.removeprefix('1.')}"}


def test_no_module_asks_for_a_newer_compiler_than_the_minimum(checkout):
    for path in (checkout / "toolchain" / "modules").glob("*/go.mod"):
        wanted = re.search(r"^go (\S+)$", path.read_text(), re.MULTILINE)
        assert wanted is not None
        asked, minimum = golang.parse_version(wanted.group(1)), golang.parse_version(versions.GO_MINIMUM)
        assert asked is not None
        assert minimum is not None
        assert asked <= minimum, path


def test_the_wheel_is_as_new_as_the_minimum():
    assert golang.is_fit(versions.GO_WHEEL)


def test_versions_are_written_in_the_versions_file_alone(checkout):
    number = re.compile(r"\d+\.\d+\.\d+")
    for path in (checkout / "toolchain").glob("*.py"):
        if path.name != "versions.py":
            code = re.sub(r'""".*?"""|#.*', "", path.read_text(), flags=re.DOTALL)
            assert number.findall(code) == [], path


def test_the_kubernetes_plugin_has_the_version_of_the_locked_sdk(checkout):
    assert f'"pulumi-kubernetes=={versions.PULUMI_KUBERNETES}"' in (checkout / "pyproject.toml").read_text()


def test_a_key_is_stable_and_changes_with_everything_that_decides_the_result(toy):
    def key(**changes) -> str:
        build = dataclasses.replace(BUILD, **changes.pop("build", {}))
        return builds.key(build, toy.module, **({"go_version": "1.26.6", "machine": "x86_64"} | changes))

    first = key()
    assert key() == first
    others = [key(go_version="1.26.7"), key(machine="aarch64"), key(build={"tags": ("a",)}), key(build={"cgo": True})]
    (toy.module / "go.sum").write_text("another sum\n")
    others.append(key())
    (toy.module / "main.go").write_text("package main\n")
    others.append(key())
    assert len({first, *others}) == len(others) + 1


def test_a_build_puts_programs_and_links_in_bin_and_tells_its_cost(toy, fake_go):
    environ, calls = fake_go()
    folder = toy.ensure(environ)
    assert (folder / "bin" / "toy").read_text() == "program toy\n"
    assert (folder / "bin" / "alias").resolve() == (folder / "bin" / "toy").resolve()
    key = folder.name.removeprefix("toy-")
    manifest = Store(toy.paths.cache).manifest("toy", key)
    assert manifest is not None
    assert manifest["measured"].keys() == {"version", "go", "wall_seconds", "cpu_seconds", "packages_compiled"}
    assert "-trimpath" in calls.read_text()
    assert toy.reporter.titles == ["Building toy 1.2"]


def test_a_second_ensure_builds_nothing(toy, fake_go):
    environ, calls = fake_go()
    first = toy.ensure(environ)
    before = calls.read_text().count("build ")
    assert toy.ensure(environ) == first
    assert calls.read_text().count("build ") == before == 1


def test_a_changed_module_file_builds_anew_beside_the_old_result(toy, fake_go):
    environ, _ = fake_go()
    first = toy.ensure(environ)
    (toy.module / "go.mod").write_text("module toy // changed\n")
    second = toy.ensure(environ)
    assert first != second
    assert first.exists()


def test_a_broken_result_is_built_again(toy, fake_go):
    environ, _ = fake_go()
    first = toy.ensure(environ)
    (first / "bin" / "toy").write_text("tampered")
    again = toy.ensure(environ)
    assert (again / "bin" / "toy").read_text() == "program toy\n"


def test_a_failed_build_leaves_no_result(toy, fake_go):
    environ, _ = fake_go(before="echo broken; exit 1")
    with pytest.raises(BuildFailed, match="toy"):
        toy.ensure(environ)
    assert not list(toy.paths.artifacts.glob("toy-*"))


def test_a_build_that_makes_other_programs_than_its_record_says_is_refused(toy, fake_go, monkeypatch):
    use(monkeypatch, dataclasses.replace(BUILD, programs=("other",)))
    with pytest.raises(BuildFailed, match="other"):
        toy.ensure(fake_go()[0])


def with_files(pattern: str, destination: str, *, executable: bool = False) -> recipes.GoBuild:
    files = recipes.ModuleFiles(module="example.org/m", pattern=pattern, destination=destination, executable=executable)
    return dataclasses.replace(BUILD, files=(files,))


def test_files_are_taken_out_of_the_pinned_module(toy, fake_go, monkeypatch, tmp_path):
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "run").write_text("#!/bin/sh\n")
    use(monkeypatch, with_files("run", "bin/run", executable=True))
    folder = toy.ensure(fake_go(module=tmp_path / "module")[0])
    assert (folder / "bin" / "run").stat().st_mode & 0o777 == 0o755


def test_several_yaml_files_become_one_with_a_document_each(toy, fake_go, monkeypatch, tmp_path):
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "b.yaml").write_text("b: 2\n")
    (tmp_path / "module" / "a.yaml").write_text("---\na: 1\n")
    use(monkeypatch, with_files("*.yaml", "share/all.yaml"))
    folder = toy.ensure(fake_go(module=tmp_path / "module")[0])
    assert (folder / "share" / "all.yaml").read_text() == "a: 1\n---\nb: 2\n"


def test_a_module_without_the_file_is_refused(toy, fake_go, monkeypatch, tmp_path):
    (tmp_path / "module").mkdir()
    use(monkeypatch, with_files("gone/*.yaml", "share/all.yaml"))
    with pytest.raises(BuildFailed, match=r"gone/\*\.yaml"):
        toy.ensure(fake_go(module=tmp_path / "module")[0])


def test_an_unknown_name_is_refused_with_the_known_ones(paths, reporter):
    with pytest.raises(ToolchainError, match="kube"):
        builds.ensure(paths, "kuber", reporter, environ={"PATH": ""})


def test_as_tasks_every_build_waits_for_its_own_sources_only(paths):
    tasks = {task.name: task for task in builds.tasks(paths)}
    assert len(tasks) == 2 * len(recipes.BUILDS)
    assert order(list(tasks.values()))
    for name in recipes.BUILDS:
        assert tasks[f"fetch-{name}"].lane == "net"
        assert tasks[f"build-{name}"].lane == "cpu"
        assert tasks[f"build-{name}"].needs == (f"fetch-{name}",)


def test_sources_are_not_fetched_when_the_result_exists(toy, fake_go):
    environ, calls = fake_go()
    toy.fetch(environ)
    assert "list -deps" in calls.read_text()
    toy.ensure(environ)
    calls.unlink()
    toy.fetch(environ)
    assert "list -deps" not in calls.read_text()


def test_c_code_is_linked_statically_and_says_which_debian_packages_it_needs():
    for build in recipes.BUILDS.values():
        assert build.cgo == ("-extldflags -static" in build.linker_flags())
        assert build.cgo == bool(build.debian_packages)


@pytest.fixture
def source(toy):
    """Return a file of the module cache, as Go leaves it."""
    path = toy.paths.go_mod / "example.org" / "toy.go"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * 1_000_000)
    path.parent.chmod(0o500)
    return path


def test_sources_are_discarded_only_when_every_result_exists(toy, fake_go, source):
    environ, _ = fake_go()
    assert builds.discard_sources(toy.paths, ["toy"], environ=environ) is False
    assert source.exists()
    folder = toy.ensure(environ)
    assert builds.discard_sources(toy.paths, ["toy"], environ=environ) is True
    assert not toy.paths.go_mod.exists()
    assert toy.ensure(environ) == folder
    assert builds.discard_sources(toy.paths, ["toy"], environ=environ) is True, "nothing is left to remove"


def test_an_interrupted_removal_of_sources_leaves_no_half_module_and_is_finished_later(
    toy, fake_go, source, monkeypatch
):
    environ, _ = fake_go()
    toy.ensure(environ)

    def interrupt(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(builds, "remove_tree", interrupt)
        with pytest.raises(KeyboardInterrupt):
            builds.discard_sources(toy.paths, ["toy"], environ=environ)
    assert not source.exists()
    assert list(toy.paths.cache.glob(".removed-*"))
    assert builds.discard_sources(toy.paths, ["toy"], environ=environ) is True
    assert not list(toy.paths.cache.glob(".removed-*"))


def test_sources_stay_while_another_process_builds_with_them(toy, fake_go, source):
    environ, _ = fake_go()
    toy.ensure(environ)
    with builds._sources(toy.paths):
        assert builds.discard_sources(toy.paths, ["toy"], environ=environ) is False
    assert source.exists()
    assert builds.discard_sources(toy.paths, ["toy"], environ=environ) is True


def test_a_result_that_exists_is_found_without_getting_a_compiler(toy, monkeypatch, program):
    bare = {"PATH": "/usr/bin:/bin", "UV": str(program("uv", "#!/bin/sh\nexit 1\n"))}
    monkeypatch.setattr(golang, "find", lambda _: None)
    key = builds.key(BUILD, toy.module, go_version=versions.GO_WHEEL, machine=os.uname().machine)
    made = Store(toy.paths.cache).put("toy", key, lambda folder: (folder / "file").write_text("x") and None)
    assert toy.ensure(bare) == made
    (toy.module / "go.mod").write_text("module toy // changed\n")
    with pytest.raises(DownloadRefused):
        toy.ensure(bare)

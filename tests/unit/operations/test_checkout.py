"""Which commit evidence names."""

from __future__ import annotations

import os
import subprocess

import pytest

from operations.checkout import Checkout, checkout_of


@pytest.fixture
def repository(tmp_path):
    """Return a repository with one commit, and its id."""
    root = tmp_path / "careops"
    root.mkdir()
    (root / "rules").write_text("one\n")
    own = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments):
        options = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        done = subprocess.run(
            ["git", *options, "-C", str(root), *arguments], env=own, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "--quiet")
    git("add", "rules")
    git("commit", "--quiet", "--message", "first")
    return root, git("rev-parse", "HEAD")


def test_the_commit_is_named_and_whether_it_is_what_runs(repository):
    root, commit = repository
    assert checkout_of(root, os.environ) == Checkout(commit=commit, modified=False)
    (root / "rules").write_text("two\n")
    assert checkout_of(root, os.environ) == Checkout(commit=commit, modified=True)


def test_a_copy_inside_another_repository_is_not_that_repositorys_commit(repository):
    inner = repository[0] / "copy"
    inner.mkdir()
    assert checkout_of(inner, os.environ) == Checkout()


def test_variables_that_point_git_elsewhere_are_not_followed(repository, tmp_path):
    root, commit = repository
    assert checkout_of(root, os.environ | {"GIT_DIR": str(tmp_path / "nowhere")}).commit == commit


def test_without_a_repository_or_without_git_the_commit_is_not_known(repository, tmp_path):
    assert checkout_of(tmp_path, os.environ) == Checkout()
    assert checkout_of(repository[0], {"PATH": str(tmp_path)}) == Checkout()

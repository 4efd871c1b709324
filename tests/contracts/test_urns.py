"""The golden list of what each stack declares: a changed URN replaces a resource, so it must be seen in review."""

from __future__ import annotations

import pytest

from infra.naming import ENVIRONMENTS
from tests import declared


@pytest.mark.parametrize("environment_name", ENVIRONMENTS)
def test_an_environment_declares_exactly_these_resources(environment_name, snapshot):
    assert declared.environment(environment_name).urns() == snapshot


def test_the_platform_declares_exactly_these_resources(platform, snapshot):
    assert platform.urns() == snapshot

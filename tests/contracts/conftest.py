"""Recordings of every stack, made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.naming import ENVIRONMENTS
from tests import declared

if TYPE_CHECKING:
    from tests.recording import Recording


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> Recording:
    return declared.environment(request.param)


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return declared.platform(tmp_path_factory.mktemp("platform"))

"""The running platform that live tests share.

`careops test` starts it and says where it is through CAREOPS_STATE. Without it these tests fail rather than skip: a
check that could not run has not passed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from kubernetes import client, config

from infra.naming import ENVIRONMENTS
from tests.live.changes import outside_freezes
from tests.live.support import ROOT, Platform
from toolchain.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    paths = Paths.from_environment(os.environ, ROOT)
    if not paths.kubeconfig.exists():
        pytest.fail("no running platform: run `./careops test`, or `./careops up` first")
    apis = config.new_client_from_config(config_file=str(paths.kubeconfig))
    made = Platform(paths=paths, api=client.CoreV1Api(apis), apis=apis)
    with outside_freezes(made):
        yield made


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> str:
    return request.param

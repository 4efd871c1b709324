"""Stand-ins for everything `up` and `down` act through: they record what was asked of them, in order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from operations.environments import Environment, default_port
from operations.lock import PlatformLock
from operations.machine import GIB, Machine
from operations.up import Built, UpParts
from toolchain.host import CAPABILITIES, CGROUP_CONTROLLERS, FILESYSTEMS, NAMESPACES, HostFacts


class Shown:
    """A reporter that keeps the titles of its steps; one step of it serves all."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    @contextlib.contextmanager
    def step(self, title: str):
        self.titles.append(title)
        yield self

    def note(self, text: str) -> None: ...


def environment(name: str, site: str = "riverside", site_index: int = 0) -> Environment:
    stack = name if site_index == 0 else f"{site}.{name}"
    return Environment(
        stack=stack,
        site=site,
        name=name,
        namespace=f"{site}-{name}",
        port=default_port(site_index, name),
        memory_bytes=GIB,
    )


def host(**changes: Any) -> HostFacts:
    facts: dict[str, Any] = {
        "system": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.1.0",
        "machine": "x86_64",
        "cpus": 2,
        "root": True,
        "capabilities": frozenset(CAPABILITIES),
        "memory_bytes": 16 * GIB,
        "memory_available_bytes": 14 * GIB,
        "state_free_bytes": 100 * GIB,
        "cache_free_bytes": 100 * GIB,
        "same_disk": True,
        "namespaces": frozenset(NAMESPACES),
        "filesystems": frozenset(FILESYSTEMS),
        "cgroup_controllers": frozenset(CGROUP_CONTROLLERS),
        "can_unshare": True,
        "apt": True,
    }
    return HostFacts(**(facts | changes))


@dataclass
class FakeWorld:
    """Everything around `up`; each part can be told to fail."""

    folder: Path
    calls: list[str] = field(default_factory=list)
    fail: dict[str, BaseException] = field(default_factory=dict)
    machine: Machine = field(default_factory=lambda: Machine(host=host()))
    known: tuple[Environment, ...] = tuple(environment(name) for name in ("dev", "test", "training", "prod"))
    dying: tuple[str, ...] = ()
    complaints: dict[str, str] = field(default_factory=dict)
    records: list[Any] = field(default_factory=list)
    embedded: bool = True
    checked: tuple[str, ...] = ()
    slow: dict[str, Callable[[], object]] = field(default_factory=dict)

    def act(self, name: str, answer: str = "") -> str:
        self.calls.append(name)
        if name in self.fail:
            raise self.fail[name]
        return answer

    def environments(self) -> tuple[Environment, ...]:
        self.act("settings")
        return self.known

    def read_machine(self) -> Machine:
        self.act("machine")
        return self.machine

    def ready(self, _reporter: object) -> str:
        return self.act("cluster", "runs")

    def images(self, _reporter: object, roles: Any = None) -> str:
        return self.act("images" if roles is None else f"images:{','.join(roles)}", "7 images")

    def facts(self) -> str:
        return self.act("facts", "written")

    def terminating(self, namespaces: Any) -> tuple[str, ...]:
        self.act("remains")
        return tuple(name for name in namespaces if name in self.dying)

    def check_networks(self, chosen: Any) -> None:
        self.act("networks")
        self.checked = tuple(one.stack for one in chosen)

    def deploy(self, stack: str, _step: object) -> str:
        self.act(f"deploy:{stack}")
        if stack in self.slow:
            self.slow[stack]()
        self.act(f"deployed:{stack}")
        return "unchanged"

    def answers(self, one: Environment) -> str | None:
        self.act(f"login:{one.stack}")
        return self.complaints.get(one.stack)

    def parts(self) -> UpParts:
        return UpParts(
            environments=self.environments,
            machine=self.read_machine,
            check_passphrase=lambda: self.act("passphrase") and None,
            lock=PlatformLock(self.folder / "lock", "careops up"),
            existing=lambda: {"cluster_existed": False, "stacks_existed": []},
            install_packages=lambda _reporter: self.act("packages", "all present"),
            build=lambda _reporter: Built(note=self.act("build", "all in the cache"), made=0, found=9),
            cluster=self,
            check_networks=self.check_networks,
            deploy=self.deploy,
            answers=self.answers,
            record=self.records.append,
        )


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return FakeWorld(folder=tmp_path)


@pytest.fixture
def make_environment():
    return environment


@pytest.fixture
def make_host():
    return host

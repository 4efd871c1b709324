"""A real API server and the real engine, for tests of the stand-in plugin; no kubelet, so tests write pods' status."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.plugin.control_plane import ControlPlane, Tools
from toolchain import builds
from toolchain.paths import Paths
from toolchain.progress import PlainReporter
from toolchain.pulumi import runner, workspace

ROOT = Path(__file__).resolve().parents[2]
# A folder with `pulumi`, `kube` and `pulumi-language-python-exec`, for who has built them elsewhere.
TOOLS_VARIABLE = "CAREOPS_TEST_TOOLS"


@pytest.fixture(scope="session")
def tools() -> Tools:
    given = os.environ.get(TOOLS_VARIABLE)
    if given:
        folder = Path(given)
        return Tools(engine=folder / "pulumi", kube=folder / "kube", exec_script=folder / "pulumi-language-python-exec")
    paths = Paths.from_environment(os.environ, ROOT)
    reporter = PlainReporter(sys.stderr)
    engine = builds.ensure(paths, "pulumi", reporter)
    kube = builds.ensure(paths, "kube", reporter)
    script = next(engine.rglob("pulumi-language-python-exec"))
    return Tools(engine=engine / "bin" / "pulumi", kube=kube / "bin" / "kube-apiserver", exec_script=script)


@pytest.fixture(scope="session")
def control_plane(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    plane = ControlPlane(tools.kube, tmp_path_factory.mktemp("control-plane"))
    plane.start()
    yield plane
    plane.stop()


@dataclass(frozen=True)
class Project:
    """A Pulumi project whose program a test writes, on a backend of its own."""

    folder: Path
    paths: Paths
    pulumi: runner.Pulumi
    plane: ControlPlane
    namespace: str
    progress: list[runner.ResourceEvent] = field(default_factory=list)

    def program(self, text: str, *, provider: str = "") -> None:
        head = """
            import pulumi
            import pulumi_kubernetes as k8s
            from pulumi_kubernetes.core.v1 import *
            NS = {namespace!r}
            provider = k8s.Provider("cluster", kubeconfig={kubeconfig!r}, {provider})
            opts = pulumi.ResourceOptions(provider=provider)
            def options(**more):
                return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(**more))
        """
        head = textwrap.dedent(head).format(
            namespace=self.namespace, kubeconfig=str(self.plane.kubeconfig), provider=provider
        )
        (self.folder / "__main__.py").write_text(head + textwrap.dedent(text), encoding="utf-8")

    def up(self, *, preview: bool = False, **options: object) -> runner.Result:
        return self.pulumi.up("test", preview=preview, on_event=self.progress.append, **options)

    def preview(self) -> runner.Result:
        return self.pulumi.preview("test")

    def destroy(self) -> runner.Result:
        return self.pulumi.destroy("test")

    def state_text(self) -> str:
        (file,) = self.paths.pulumi_backend.glob(".pulumi/stacks/*/test.json")
        return file.read_text(encoding="utf-8")

    def kubectl(self, *arguments: str) -> str:
        return self.plane.kubectl(*arguments)


@pytest.fixture
def project(
    tools: Tools, control_plane: ControlPlane, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Project]:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: plugin-test\nruntime: python\n", encoding="utf-8")
    paths = Paths(root=folder, state=tmp_path / "state", cache=tmp_path / "cache")
    workspace.prepare(paths)
    workspace.place_engine(paths, tools.engine)
    workspace.place_language_host(paths, tools.exec_script)
    workspace.place_kubernetes_plugin(paths)
    namespace = f"t{abs(hash(request.node.nodeid)) % 10**8:08d}"
    environ = {**os.environ, **workspace.environment(paths), "KUBECONFIG": str(control_plane.kubeconfig)}
    pulumi = runner.Pulumi(folder=folder, environ=environ, run_folder=paths.pulumi_runs)
    yield Project(folder=folder, paths=paths, pulumi=pulumi, plane=control_plane, namespace=namespace)
    control_plane.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")

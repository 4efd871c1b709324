"""Stand-in for `pulumi-language-python`: runs Python programs, policy packs and plugins for the engine.

The SDK ships everything but this process: its generated stubs are the protocol, and `pulumi-language-python-exec`,
which runs a program, comes with the engine's Go module. The official host is not in any package registry.
"""

# ruff: noqa: N802  the protocol names the methods
# ruff: noqa: ANN401  values are whatever JSON or the generated stubs hold
# ruff: noqa: N802  the protocol names the methods
# ruff: noqa: ARG002  and its arguments

from __future__ import annotations

import argparse
import ctypes
import importlib.metadata
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf import json_format
from google.protobuf.empty_pb2 import Empty  # ty: ignore[missing-module-member]  protobuf makes it at run time
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from toolchain.pulumi.parent import exit_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

VERSION: Final = "0.1.0"
# What `pulumi-language-python-exec` ends with after it told the user what is wrong.
_SAID_WHY: Final = 32
_MESSAGE_BYTES: Final = 400 * 1024 * 1024
_GRACE_SECONDS: Final = 5
_PR_SET_PDEATHSIG: Final = 1
_THREADS: Final = 32
# What is set for this host alone.
_OWN_VARIABLES: Final = frozenset({"PYTHONHOME", "GRPC_ENABLE_FORK_SUPPORT"})


class HostError(Exception):
    """The program cannot be run; the text says why and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpreter:
    """The Python that runs a program.

    Attributes:
        executable: the interpreter.
        virtualenv: the environment it belongs to, None for the host's own.
    """

    executable: Path
    virtualenv: Path | None

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a program: its virtualenv active, this host's traces removed."""
        environ = {key: value for key, value in base.items() if key not in _OWN_VARIABLES}
        if self.virtualenv is not None:
            environ["VIRTUAL_ENV"] = str(self.virtualenv)
            environ["PATH"] = f"{self.virtualenv / 'bin'}{os.pathsep}{environ.get('PATH', '')}"
        return environ


def interpreter(root: Path, options: Mapping[str, Any]) -> Interpreter:
    """Return the Python a project asks for.

    Args:
        root: the project's folder; a relative virtualenv starts there.
        options: `runtime.options` of Pulumi.yaml.

    Raises:
        HostError: when the virtualenv has no Python.
    """
    name = options.get("virtualenv")
    if not name:
        return Interpreter(executable=Path(sys.executable), virtualenv=None)
    virtualenv = root / name
    executable = virtualenv / "bin" / "python"
    if not executable.exists():
        raise HostError(
            f"virtualenv {virtualenv} of Pulumi.yaml has no bin/python. Create it (`uv sync` in {root}), or correct "
            "runtime.options.virtualenv."
        )
    return Interpreter(executable=executable, virtualenv=virtualenv)


def _interpreter_of(info: language_pb2.ProgramInfo) -> Interpreter:
    options = json_format.MessageToDict(info.options) if info.HasField("options") else {}
    return interpreter(Path(info.root_directory), options)


def program_path(info: language_pb2.ProgramInfo) -> str:
    """Return what to run: the program's folder, or the entry point inside it."""
    if info.entry_point in ("", "."):
        return info.program_directory
    return str(Path(info.program_directory) / info.entry_point)


def run_arguments(request: language_pb2.RunRequest, exec_script: Path, python: Path, engine: str) -> list[str]:
    """Return the command line that runs a program."""
    arguments = [str(python), "-u", str(exec_script)]
    named = {
        "--monitor": request.monitor_address,
        "--engine": engine,
        "--project": request.project,
        "--root_directory": request.info.root_directory,
        "--stack": request.stack,
        "--organization": request.organization,
        "--pwd": request.pwd,
        "--dry_run": "true" if request.dryRun else "",
        # The script requires it; 0 means no bound.
        "--parallel": str(request.parallel),
    }
    for name, value in named.items():
        if value:
            arguments += [name, value]
    return [*arguments, program_path(request.info), *request.args]


def outcome(code: int) -> language_pb2.RunResponse:
    """Return the engine's answer for a program that ended with `code`."""
    if code == 0:
        return language_pb2.RunResponse()
    if code == _SAID_WHY:
        return language_pb2.RunResponse(bail=True)
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return language_pb2.RunResponse(error=f"the program was ended by signal {name}")
    return language_pb2.RunResponse(error=f"the program exited with code {code} without an error of its own")


def _die_with_parent() -> None:
    # Runs in the child: the thread that started it lives until it ends, so the kernel's signal is reliable here.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _start(
    arguments: list[str], environ: Mapping[str, str], folder: str, output: int, errors: int
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            arguments,
            env=dict(environ),
            cwd=folder or None,
            stdin=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - prctl is safe between fork and exec
            stdout=output,
            stderr=errors,
        )
    except OSError as error:
        raise HostError(f"{arguments[0]} cannot be started in {folder}: {error}.") from error


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a child: politely, then for good."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Answers the engine's requests about Python programs."""

    def __init__(self, engine: str, exec_script: Path) -> None:
        self._engine = engine
        self._exec_script = exec_script
        self._children: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def Handshake(self, request: Any, context: Any) -> language_pb2.LanguageHandshakeResponse:
        """Greet the engine, which may pass its address here instead of on the command line."""
        self._engine = request.engine_address or self._engine
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        """Return this host's version."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetRequiredPackages(self, request: Any, context: Any) -> language_pb2.GetRequiredPackagesResponse:
        """Return no plugin to install beforehand: each SDK names its plugin's version when the program uses it."""
        return language_pb2.GetRequiredPackagesResponse()

    def GetRequiredPlugins(self, request: Any, context: Any) -> language_pb2.GetRequiredPluginsResponse:
        """Return no plugin, as above; older engines ask so."""
        return language_pb2.GetRequiredPluginsResponse()

    def Run(self, request: language_pb2.RunRequest, context: grpc.ServicerContext) -> language_pb2.RunResponse:
        """Run a program to its end; a cancelled request ends it."""
        try:
            python = _interpreter_of(request.info)
            environ = python.environment(os.environ) | {
                "PULUMI_CONFIG": json.dumps(dict(request.config)),
                "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
            }
            arguments = run_arguments(request, self._exec_script, python.executable, self._engine)
            # This host's standard output ends with the port: the engine shows what comes on standard error.
            process = _start(arguments, environ, request.pwd, output=sys.stderr.fileno(), errors=sys.stderr.fileno())
        except HostError as error:
            return language_pb2.RunResponse(error=str(error))
        return outcome(self._wait(process, context))

    def _wait(self, process: subprocess.Popen[bytes], context: grpc.ServicerContext) -> int:
        with self._lock:
            self._children.add(process)
        if not context.add_callback(lambda: _end(process)):
            _end(process)
        code = process.wait()
        with self._lock:
            self._children.discard(process)
        return code

    def RunPlugin(self, request: Any, context: grpc.ServicerContext) -> Iterator[language_pb2.RunPluginResponse]:
        """Run a policy pack or a plugin written in Python and pass its output on."""
        try:
            python = _interpreter_of(request.info)
            environ = python.environment(os.environ) | dict(item.split("=", 1) for item in request.env)
            module = ["-m", "pulumi.policy"] if request.kind == "analyzer" else []
            # A policy pack's folder comes last, after the engine's own arguments; a plugin's comes first.
            rest = (
                [*request.args, program_path(request.info)] if module else [program_path(request.info), *request.args]
            )
            arguments = [str(python.executable), "-u", *module, *rest]
            process = _start(arguments, environ, request.pwd, output=subprocess.PIPE, errors=subprocess.PIPE)
        except HostError as error:
            yield language_pb2.RunPluginResponse(stderr=f"{error}\n".encode())
            yield language_pb2.RunPluginResponse(exitcode=1)
            return
        context.add_callback(lambda: _end(process))
        yield from _output(process)
        yield language_pb2.RunPluginResponse(exitcode=process.wait())

    def InstallDependencies(self, request: Any, context: Any) -> Iterator[language_pb2.InstallDependenciesResponse]:
        """Check that the project's Python can import the SDK; installing is `uv sync`'s work, from the lock file."""
        try:
            python = _interpreter_of(request.info)
        except HostError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
            return
        check = subprocess.run([python.executable, "-c", "import pulumi"], check=False, capture_output=True)
        if check.returncode:
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"{python.executable} cannot import pulumi. Run `uv sync` in {request.info.root_directory}.",
            )
        text = f"{python.executable} has the Pulumi SDK; nothing to install.\n"
        yield language_pb2.InstallDependenciesResponse(stdout=text.encode())

    def About(self, request: Any, context: grpc.ServicerContext) -> language_pb2.AboutResponse:
        """Return which Python runs programs."""
        try:
            python = _interpreter_of(request.info)
        except HostError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        command = [python.executable, "-c", "import platform; print(platform.python_version())"]
        found = subprocess.run(command, check=False, capture_output=True, text=True)
        return language_pb2.AboutResponse(executable=str(python.executable), version=found.stdout.strip())

    def GetProgramDependencies(self, request: Any, context: Any) -> language_pb2.GetProgramDependenciesResponse:
        """Return the Python packages a program can import."""
        python = _interpreter_of(request.info)
        if python.virtualenv is None:
            found = list(importlib.metadata.distributions())
        else:
            folders = [str(folder) for folder in (python.virtualenv / "lib").glob("python*/site-packages")]
            found = list(importlib.metadata.distributions(path=folders))
        packages = sorted({(item.name, item.version) for item in found})
        if not request.transitiveDependencies:
            packages = [(name, version) for name, version in packages if name.startswith("pulumi")]
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[language_pb2.DependencyInfo(name=name, version=version) for name, version in packages]
        )

    def Cancel(self, request: Any, context: Any) -> Empty:
        """End every running program."""
        self.end_children()
        return Empty()

    def end_children(self) -> None:
        """End every running program."""
        with self._lock:
            children = list(self._children)
        for process in children:
            _end(process)


def _output(process: subprocess.Popen[bytes]) -> Iterator[language_pb2.RunPluginResponse]:
    """Yield what a process writes, as it comes, until both streams end."""
    pieces: queue.Queue[language_pb2.RunPluginResponse | None] = queue.Queue()

    def pump(stream: Any, wrap: Callable[[bytes], language_pb2.RunPluginResponse]) -> None:
        while piece := os.read(stream.fileno(), 65536):
            pieces.put(wrap(piece))
        pieces.put(None)

    wraps = (
        (process.stdout, lambda piece: language_pb2.RunPluginResponse(stdout=piece)),
        (process.stderr, lambda piece: language_pb2.RunPluginResponse(stderr=piece)),
    )
    for stream, wrap in wraps:
        threading.Thread(target=pump, args=(stream, wrap), daemon=True).start()
    open_streams = 2
    while open_streams:
        piece = pieces.get()
        if piece is None:
            open_streams -= 1
        else:
            yield piece


def main(arguments: list[str]) -> None:
    """Serve until the engine ends this process."""
    parser = argparse.ArgumentParser(prog="pulumi-language-python", description="Started by the Pulumi engine.")
    parser.add_argument("--exec-script", required=True, type=Path, help="pulumi-language-python-exec of the engine")
    parser.add_argument("engine", nargs="?", default="", help="address of the engine")
    known, _ = parser.parse_known_args(arguments)
    if not known.exec_script.exists():
        parser.error(f"{known.exec_script} does not exist: build the engine again (`careops up` does)")
    exit_with_parent()
    options = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)]
    server = grpc.server(futures.ThreadPoolExecutor(_THREADS), options=options)
    host = LanguageHost(known.engine, known.exec_script)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    print(port, flush=True)
    ended.wait()
    host.end_children()
    server.stop(grace=None)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])

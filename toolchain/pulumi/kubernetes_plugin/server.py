"""The plugin's gRPC face: the engine's requests in, this package's decisions and operations behind.

Built on `pulumi.provider.experimental`. Its servicer is overridden where it stands in the way of a provider for real
objects: its property values can hold no unknowns, it drops the old inputs the engine sends, it appends a Python
traceback to every error, it cannot report "created, but not ready", and it takes a parent's type for the resource's.
"""

# ruff: noqa: ANN401  values are whatever JSON or the generated stubs hold
# ruff: noqa: N802  the protocol names the methods

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any, Final, NoReturn

import grpc
import grpc.aio
from google.protobuf.empty_pb2 import Empty  # ty: ignore[missing-module-member]  protobuf makes it at run time
from pulumi.provider.experimental.provider import Provider
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime import proto
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc, status_pb2

from toolchain.pulumi.kubernetes_plugin import configuration
from toolchain.pulumi.kubernetes_plugin.checkpoint import last_inputs
from toolchain.pulumi.kubernetes_plugin.diff import Change, Kind, path_text
from toolchain.pulumi.kubernetes_plugin.errors import PluginError, Unfinished
from toolchain.pulumi.kubernetes_plugin.provider import KubernetesProvider
from toolchain.pulumi.kubernetes_plugin.tokens import gvk_of_token, refuse_function
from toolchain.pulumi.kubernetes_plugin.values import decode, encode
from toolchain.pulumi.parent import exit_with_parent

# Each waiting resource holds a thread; the engine's --parallel bounds how many there are.
THREADS: Final = 256
_MESSAGE_BYTES: Final = 400 * 1024 * 1024
_OPTIONS: Final = [
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
]
_KINDS: Final = {
    (Kind.ADD, False): provider_pb2.PropertyDiff.ADD,
    (Kind.ADD, True): provider_pb2.PropertyDiff.ADD_REPLACE,
    (Kind.DELETE, False): provider_pb2.PropertyDiff.DELETE,
    (Kind.DELETE, True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    (Kind.UPDATE, False): provider_pb2.PropertyDiff.UPDATE,
    (Kind.UPDATE, True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}
_SEVERITY: Final = {"info": engine_pb2.INFO, "warning": engine_pb2.WARNING, "error": engine_pb2.ERROR}
_AUTONAMING: Final = {0: "propose", 1: "enforce", 2: "disable"}

Handler = Callable[["KubernetesServicer", Any, Any], Awaitable[Any]]


def _answering(handler: Callable[[KubernetesServicer, Any], Any]) -> Handler:
    """Run a handler in a thread and turn this package's errors into answers the engine understands."""

    @wraps(handler)
    async def answer(self: KubernetesServicer, request: Any, context: grpc.aio.ServicerContext) -> Any:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self.threads, handler, self, request)
        except Unfinished as error:
            await _abort_unfinished(context, error)
        except (PluginError, ValueError) as error:
            await context.abort(grpc.StatusCode.UNKNOWN, str(error))

    return answer


async def _abort_unfinished(context: grpc.aio.ServicerContext, error: Unfinished) -> NoReturn:
    detail = provider_pb2.ErrorResourceInitFailed(
        id=error.resource_id, properties=encode(error.state), reasons=error.reasons, inputs=encode(error.inputs)
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
    status.details.add().Pack(detail)
    trailer = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(grpc.StatusCode.UNKNOWN, str(error), trailing_metadata=trailer)
    raise AssertionError  # abort raises; for the type checker


class KubernetesServicer(ProviderServicer):
    """Answers the engine's requests about Kubernetes objects."""

    def __init__(self, version: str, engine_address: str) -> None:
        super().__init__([], version, Provider(), engine_address)
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="resource")
        self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(engine_address, options=_OPTIONS))
        self.provider = KubernetesProvider(log=self._log)

    def _log(self, urn: str, severity: str, text: str, *, passing: bool = False) -> None:
        message = engine_pb2.LogRequest(severity=_SEVERITY[severity], message=text, urn=urn, ephemeral=passing)
        try:
            self._engine.Log(message, timeout=5)
        except grpc.RpcError:
            # The engine is going away: what it no longer shows must not fail what it asked for.
            return

    async def Cancel(self, request: Any, context: Any) -> Empty:  # noqa: ARG002 - the protocol's
        """End every wait."""
        self.provider.cancelled.set()
        return Empty()

    @_answering
    def GetSchema(self, _: Any) -> proto.GetSchemaResponse:
        """Return a schema with a name and a version: enough for the engine, too little to generate code."""
        return proto.GetSchemaResponse(schema=f'{{"name": "kubernetes", "version": "{self._version}"}}')

    @_answering
    def CheckConfig(self, request: Any) -> proto.CheckResponse:
        """Accept provider settings, or refuse those this plugin does not serve."""
        configuration.parse(decode(request.news), self.provider.environ)
        return proto.CheckResponse(inputs=request.news)

    @_answering
    def DiffConfig(self, request: Any) -> proto.DiffResponse:
        """Tell whether changed settings lead to another cluster."""
        old = decode(request.old_inputs) or decode(request.olds)
        new = decode(request.news)
        replaces = self.provider.config_replaces(old, new)
        changed = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
        some = proto.DiffResponse.DIFF_SOME if changed else proto.DiffResponse.DIFF_NONE
        return proto.DiffResponse(changes=some, replaces=replaces, diffs=changed)

    @_answering
    def Configure(self, request: Any) -> proto.ConfigureResponse:
        """Connect to the cluster."""
        settings = {key.rpartition(":")[2]: value for key, value in request.variables.items()}
        settings |= {key: value for key, value in decode(request.args).items() if key != "version"}
        self.provider.configure(settings)
        return proto.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptOutputs=False, supports_autonaming_configuration=True
        )

    @_answering
    def Invoke(self, request: Any) -> NoReturn:
        """Refuse functions: all of them belong to YAML, Helm or kustomize."""
        raise refuse_function(request.tok)

    @_answering
    def Call(self, request: Any) -> NoReturn:
        """Refuse methods of components."""
        raise refuse_function(request.tok)

    @_answering
    def Construct(self, request: Any) -> NoReturn:
        """Refuse components: they run inside the official plugin."""
        gvk_of_token(request.type)
        raise refuse_function(request.type)

    @_answering
    def Check(self, request: Any) -> proto.CheckResponse:
        """Complete the inputs of a resource."""
        proposal = None
        if request.HasField("autonaming"):
            proposal = (_AUTONAMING[request.autonaming.mode], request.autonaming.proposed_name)
        inputs = self.provider.check(
            request.urn,
            _token(request.urn),
            decode(request.olds),
            decode(request.news),
            seed=request.randomSeed,
            proposal=proposal,
        )
        return proto.CheckResponse(inputs=encode(inputs))

    @_answering
    def Diff(self, request: Any) -> proto.DiffResponse:
        """Tell what an update would do."""
        found = self.provider.diff(
            request.urn,
            _token(request.urn),
            state=decode(request.olds),
            old=decode(request.old_inputs),
            new=decode(request.news),
            ignored=list(request.ignoreChanges),
        )
        some = found.changes or found.replaces
        return proto.DiffResponse(
            changes=proto.DiffResponse.DIFF_SOME if some else proto.DiffResponse.DIFF_NONE,
            replaces=found.replaces,
            deleteBeforeReplace=found.delete_first,
            detailedDiff={path_text(change.path): _property_diff(change) for change in found.changes},
            hasDetailedDiff=True,
        )

    @_answering
    def Create(self, request: Any) -> proto.CreateResponse:
        """Create an object, or tell what it would be."""
        gvk, inputs = gvk_of_token(_token(request.urn)), decode(request.properties)
        if request.preview and self.provider.is_unreachable:
            return proto.CreateResponse(properties=request.properties)
        operations = self.provider.operations(request.urn)
        if request.preview:
            return proto.CreateResponse(properties=encode(operations.preview_create(request.urn, gvk, inputs)))
        resource_id, state = operations.create(request.urn, gvk, inputs, request.timeout)
        return proto.CreateResponse(id=resource_id, properties=encode(state))

    @_answering
    def Update(self, request: Any) -> proto.UpdateResponse:
        """Change an object in place, or tell what it would be."""
        state = self.provider.operations(request.urn).update(
            request.urn,
            gvk_of_token(_token(request.urn)),
            decode(request.olds),
            decode(request.news),
            ignored=list(request.ignoreChanges),
            timeout=request.timeout,
            dry_run=request.preview,
        )
        return proto.UpdateResponse(properties=encode(state))

    @_answering
    def Read(self, request: Any) -> proto.ReadResponse:
        """Read a live object; no id in the answer means that it is gone."""
        if self.provider.is_unreachable:
            if self.provider.config.delete_unreachable:
                return proto.ReadResponse()
            return proto.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)
        found = self.provider.operations(request.urn).read(
            request.urn,
            gvk_of_token(_token(request.urn)),
            request.id,
            decode(request.properties),
            decode(request.inputs),
        )
        if found is None:
            return proto.ReadResponse()
        state, inputs = found
        return proto.ReadResponse(id=request.id, properties=encode(state), inputs=encode(inputs))

    @_answering
    def Delete(self, request: Any) -> Empty:
        """Delete an object and wait until it is gone."""
        if self.provider.is_unreachable and self.provider.config.delete_unreachable:
            return Empty()
        inputs = last_inputs(decode(request.properties), decode(request.old_inputs))
        self.provider.operations(request.urn).delete(
            gvk_of_token(_token(request.urn)), request.id, inputs, request.timeout
        )
        return Empty()


def _token(urn: str) -> str:
    """Return a resource's own type; its URN also carries the types of its parents, separated by `$`."""
    return urn.split("::")[2].rpartition("$")[2]


def _property_diff(change: Change) -> provider_pb2.PropertyDiff:
    # The comparison is of inputs with inputs, so the engine must show it so.
    return provider_pb2.PropertyDiff(kind=_KINDS[change.kind, change.replaces], inputDiff=True)


def serve(engine_address: str, version: str) -> None:
    """Serve until the engine ends this process."""

    async def run() -> None:
        server = grpc.aio.server(options=_OPTIONS)
        servicer = KubernetesServicer(version, engine_address)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        await ended.wait()
        await server.stop(None)

    exit_with_parent()
    asyncio.run(run())
    # Threads may still be in a wait that nobody will read.
    os._exit(0)

"""Entry point: the engine starts `pulumi-resource-kubernetes ENGINE_ADDRESS` and reads a port from its output."""

from __future__ import annotations

import sys

from toolchain.pulumi.kubernetes_plugin.server import serve
from toolchain.versions import PULUMI_KUBERNETES

addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
if not addresses:
    sys.exit(
        "pulumi-resource-kubernetes is started by the Pulumi engine, which passes its address.\n"
        "Run `pulumi up` in a project instead."
    )
serve(addresses[0], PULUMI_KUBERNETES)

"""Where plain `pulumi` finds everything: the environment it needs, and the stand-ins in the places it looks."""

from __future__ import annotations

import filecmp
import os
import secrets
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toolchain.pulumi.errors import MissingPassphrase
from toolchain.versions import PULUMI_KUBERNETES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolchain.paths import Paths

LANGUAGE_HOST: Final = "pulumi-language-python"
KUBERNETES_PLUGIN: Final = "pulumi-resource-kubernetes"
EXEC_SCRIPT: Final = "pulumi-language-python-exec"
# 32 bytes of randomness: more than the key derived from it.
_PASSPHRASE_BYTES: Final = 32
_OWNER_ONLY: Final = 0o600


def plugin_folder(paths: Paths) -> Path:
    """Return where the engine looks for the Kubernetes plugin of the pinned version."""
    return paths.pulumi_home / "plugins" / f"resource-kubernetes-v{PULUMI_KUBERNETES}"


def environment(paths: Paths, inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables under which `pulumi` works on this checkout, and nothing else.

    Args:
        paths: the checkout's folders.
        inherited: the environment whose PATH is extended; this process's by default.
    """
    path = (os.environ if inherited is None else inherited).get("PATH", os.defpath)
    return {
        "PATH": f"{paths.bin}{os.pathsep}{path}",
        "PULUMI_HOME": str(paths.pulumi_home),
        "PULUMI_BACKEND_URL": f"file://{paths.pulumi_backend}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(paths.passphrase),
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "KUBECONFIG": str(paths.kubeconfig),
        "CAREOPS_FACTS": str(paths.facts),
    }


def prepare(paths: Paths) -> None:
    """Make the folders and the passphrase; what is there already stays as it is.

    Raises:
        MissingPassphrase: when state exists whose passphrase is gone.
    """
    for folder in (paths.bin, paths.pulumi_home, paths.pulumi_backend):
        folder.mkdir(parents=True, exist_ok=True)
    paths.state.chmod(0o700)
    _switch_off_debug_log(paths.pulumi_home / "logs")
    if paths.passphrase.exists():
        if not paths.passphrase.read_text(encoding="utf-8").strip():
            raise _missing_passphrase(paths, "is empty")
        return
    if any(paths.pulumi_backend.glob(".pulumi/stacks/**/*.json")):
        raise _missing_passphrase(paths, "does not exist")
    # Written under another name first: a half-written passphrase would lock the state for ever.
    draft = paths.passphrase.with_suffix(f".{os.getpid()}")
    draft.touch(mode=_OWNER_ONLY)
    draft.write_text(secrets.token_urlsafe(_PASSPHRASE_BYTES) + "\n", encoding="utf-8")
    draft.replace(paths.passphrase)


def _switch_off_debug_log(folder: Path) -> None:
    """Keep the engine from writing its debug log, for which it has no switch: a file where its folder would be.

    It writes every property of every resource, 30 to 50 MB a run where a stack holds large definitions, at two thirds
    of that run's CPU time (measured with CloudNativePG's). The engine goes on without the log and says nothing. To get
    it for a bug report, replace the file by a folder and run plain pulumi: the next `careops up` puts the file back.
    """
    if folder.is_file():
        return
    if folder.is_dir():
        shutil.rmtree(folder)
    folder.touch(mode=_OWNER_ONLY)


def _missing_passphrase(paths: Paths, problem: str) -> MissingPassphrase:
    return MissingPassphrase(
        f"Pulumi's passphrase {paths.passphrase} {problem}.",
        why=f"{paths.pulumi_backend} holds stacks whose secrets only that passphrase opens.",
        action="Put the file back from where you keep it. If it is lost for good, `careops down` cannot help: delete "
        f"the cluster's contents and {paths.pulumi_backend}, then start anew.",
    )


def place_engine(paths: Paths, engine: Path) -> Path:
    """Put an engine into the checkout's bin, as a file of its own.

    The engine looks for language hosts beside its real file, behind links, and warns about one it finds elsewhere: a
    hard link (or a copy, from another file system) lets the stand-in stand beside it.
    """
    path = paths.bin / "pulumi"
    paths.bin.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_symlink() and filecmp.cmp(path, engine, shallow=True):
        return path
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    if engine.resolve().with_name(LANGUAGE_HOST).exists():
        # A vendor's engine with its own hosts around it: a link leads the engine to them.
        draft.symlink_to(engine.resolve())
        draft.replace(path)
        return path
    try:
        draft.hardlink_to(engine.resolve())
    except OSError:
        shutil.copy2(engine, draft)
    draft.replace(path)
    return path


def is_stand_in(plugin: Path) -> bool:
    """Tell whether a plugin's executable is one of this module's launchers."""
    if not plugin.is_file():
        return False
    with plugin.open("rb") as file:
        return b"toolchain.pulumi" in file.read(4096)


def place_language_host(paths: Paths, exec_script: Path, python: Path | None = None) -> Path:
    """Put the stand-in language host beside the engine, where it is found without a warning.

    Args:
        paths: the checkout's folders.
        exec_script: the engine's `pulumi-language-python-exec`.
        python: interpreter of the host; this process's by default.
    """
    arguments = ["--exec-script", str(exec_script)]
    return _launcher(paths.bin / LANGUAGE_HOST, "toolchain.pulumi.language_host", arguments, python)


def place_kubernetes_plugin(paths: Paths, python: Path | None = None) -> Path:
    """Put the stand-in Kubernetes plugin where the engine looks for it by version."""
    folder = plugin_folder(paths)
    return _launcher(folder / KUBERNETES_PLUGIN, "toolchain.pulumi.kubernetes_plugin", [], python)


def _launcher(path: Path, module: str, arguments: list[str], python: Path | None) -> Path:
    # -P: the working directory is the user's project and must not shadow a module of this one.
    words = [str(python or Path(sys.executable)), "-P", "-m", module, *arguments]
    # gRPC's fork handlers only write to the log here: children are started by exec.
    text = f'#!/bin/sh\nGRPC_ENABLE_FORK_SUPPORT=false exec {shlex.join(words)} "$@"\n'
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.is_symlink() or path.read_text(encoding="utf-8", errors="replace") != text:
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        draft.chmod(0o755)
        draft.replace(path)
    return path

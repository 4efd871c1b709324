"""Where careops keeps what it makes: the checkout, its state and the cache that checkouts share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Mapping

STATE_VARIABLE = "CAREOPS_STATE"
CACHE_VARIABLE = "CAREOPS_CACHE"


@dataclass(frozen=True, kw_only=True, slots=True)
class Paths:
    """Folders and files of one checkout.

    Attributes:
        root: the checkout.
        state: what belongs to this checkout: cluster, Pulumi backend, logs. Losing it loses the embedded platform.
        cache: what any checkout may reuse: builds, downloads. Losing it costs time only.
    """

    root: Path
    state: Path
    cache: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], root: Path) -> Paths:
        """Decide the folders from the environment; nothing is created.

        Args:
            environ: variables to read: CAREOPS_STATE, CAREOPS_CACHE, XDG_CACHE_HOME, HOME.
            root: the checkout.

        Raises:
            ToolchainError: a variable holds a relative path, or no folder for the cache can be derived.
        """
        root = root.resolve()
        state = _absolute(environ, STATE_VARIABLE) or root / ".careops"
        return cls(root=root, state=state, cache=_absolute(environ, CACHE_VARIABLE) or _default_cache(environ))

    @property
    def bin(self) -> Path:
        """Links to the tools in use."""
        return self.state / "bin"

    @property
    def logs(self) -> Path:
        """One file for each build and service."""
        return self.state / "logs"

    @property
    def cluster(self) -> Path:
        """Everything of the embedded cluster."""
        return self.state / "cluster"

    @property
    def kubeconfig(self) -> Path:
        """Access to the cluster in use, from this machine."""
        return self.state / "kubeconfig"

    @property
    def facts(self) -> Path:
        """What the infrastructure needs to know of the cluster in use."""
        return self.state / "facts.json"

    @property
    def images(self) -> Path:
        """Which images this checkout made last: one file for each, with its reference and digest."""
        return self.state / "images"

    @property
    def pulumi_backend(self) -> Path:
        """Pulumi's state files."""
        return self.state / "pulumi" / "backend"

    @property
    def pulumi_home(self) -> Path:
        """Pulumi's own folder (PULUMI_HOME): plugins and credentials."""
        return self.state / "pulumi" / "home"

    @property
    def pulumi_runs(self) -> Path:
        """One folder for each run of the engine that lasts, with its event log."""
        return self.state / "pulumi" / "runs"

    @property
    def passphrase(self) -> Path:
        """File with the passphrase of Pulumi's secrets; mode 0600."""
        return self.state / "passphrase"

    @property
    def lock(self) -> Path:
        """Held by the command that changes the platform."""
        return self.state / "lock"

    @property
    def artifacts(self) -> Path:
        """Results by content key; see `toolchain.store`."""
        return self.cache / "artifacts"

    @property
    def go_mod(self) -> Path:
        """Go's module cache."""
        return self.cache / "go-mod"

    @property
    def go_build(self) -> Path:
        """Go's build cache: what makes an interrupted build continue."""
        return self.cache / "go-build"

    @property
    def oci(self) -> Path:
        """Container images by digest; see `toolchain.images.oci`."""
        return self.cache / "oci"

    @property
    def debs(self) -> Path:
        """Debian packages already downloaded."""
        return self.cache / "debs"

    @property
    def modules(self) -> Path:
        """The pinned Go modules that builds start from."""
        return self.root / "toolchain" / "modules"


def _absolute(environ: Mapping[str, str], variable: str) -> Path | None:
    value = environ.get(variable, "")
    if not value:
        return None
    path = Path(value)
    if not path.is_absolute():
        raise ToolchainError(
            f"{variable} is not an absolute path: {value!r}.",
            why="A relative path would mean another folder in every working directory.",
            action=f"Set {variable} to a path that starts with '/', or unset it.",
        )
    return path


def _default_cache(environ: Mapping[str, str]) -> Path:
    shared = Path(environ.get("XDG_CACHE_HOME", ""))
    if shared.is_absolute():  # the XDG specification says to ignore a relative value
        return shared / "careops"
    home = Path(environ.get("HOME", ""))
    if home.is_absolute():
        return home / ".cache" / "careops"
    raise ToolchainError(
        "There is no folder for the cache.",
        why=f"None of {CACHE_VARIABLE}, XDG_CACHE_HOME and HOME names an absolute path.",
        action=f"Set {CACHE_VARIABLE} to a folder with at least 20 GB free.",
    )

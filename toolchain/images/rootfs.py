"""Root file systems of Debian packages, made by mmdebstrap: the same packages give the same bytes."""

from __future__ import annotations

import json
import os
import shlex
import tarfile
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.errors import BuildFailed
from toolchain.images.debs import DebFolder, parse_installed
from toolchain.images.layers import SOURCE_DATE_EPOCH
from toolchain.images.sandbox import DIE_WITH_PARENT
from toolchain.process import run
from toolchain.store import Store, content_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toolchain.images.mirrors import Mirrors
    from toolchain.paths import Paths
    from toolchain.progress import Reporter

HOST_PACKAGES = ("mmdebstrap", "debian-archive-keyring")
"""Debian packages that the building machine needs."""

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_AUTOMOUNT = Path("/usr/share/mmdebstrap/hooks/file-mirror-automount")
TAR = "rootfs.tar"
LOCK = "packages.lock"

MIN_VALID_SECONDS = 7_776_000
"""90 days. Debian's index of sid expires after a week and mirrors lag behind; its signature is checked all the same."""

_RECIPE_FORMAT = 1

_DOCUMENTATION = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-include=/usr/share/locale/locale.alias",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)

# What differs from one build to the next, or belongs to the machine that builds.
_RESIDUE = (
    "etc/apt/sources.list",
    "etc/apt/sources.list.d/*",
    "etc/apt/preferences.d/*",
    "etc/resolv.conf",
    "etc/hostname",
    "etc/machine-id",
    "var/cache/apt/*",
    "var/cache/debconf/*",
    "var/cache/ldconfig/aux-cache",
    "var/lib/apt/extended_states",
    "var/lib/apt/lists/*",
    "var/lib/dpkg/*-old",
    "var/log/apt",
    "var/log/alternatives.log",
    "var/log/bootstrap.log",
    "var/log/dpkg.log",
)


@dataclass(frozen=True, kw_only=True)
class User:
    """A user and its group of the same number, made before any package can take the name with another number."""

    name: str
    number: int
    home: str
    home_mode: int = 0o750


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a root file system is made of.

    Attributes:
        name: For people and for cache names.
        suite: Debian release of everything but `borrowed`.
        packages: What is installed, with what it depends on; nothing recommended.
        users: Users made first.
        borrowed: Package -> release it alone is taken from; its dependencies stay with `suite`.
        dpkg_options: Lines for dpkg's configuration, such as path-exclude.
        files: Absolute path -> text, written before packages are installed.
        remove: Globs, relative to the root, removed at the end.
    """

    name: str
    suite: str
    packages: tuple[str, ...]
    users: tuple[User, ...] = ()
    borrowed: Mapping[str, str]
    dpkg_options: tuple[str, ...] = ()
    files: Mapping[str, str]
    remove: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Stands for the recipe, not for the versions it resolves to: those are in the lock beside the result."""
        return content_key(_RECIPE_FORMAT, _DOCUMENTATION, _RESIDUE, asdict(self))

    @property
    def resolution_key(self) -> str:
        """Stands for what decides which packages are chosen; a lock made for it stays good while it stays the same."""
        return content_key(self.suite, self.packages, dict(self.borrowed))


def sources(recipe: Recipe, mirrors: Mirrors) -> list[str]:
    """Return apt's source lines for a build from the network."""
    releases = sorted({recipe.suite, *recipe.borrowed.values()}, key=lambda name: (name != recipe.suite, name))
    lines = [f"deb {mirrors.archive} {release} main" for release in releases]
    lines.insert(1, f"deb {mirrors.security} {recipe.suite}-security main")
    return lines


def pins(recipe: Recipe) -> str:
    """Return apt's preferences: nothing but the borrowed packages comes from their release."""
    stanzas = [
        f"Package: *\nPin: release n={release}\nPin-Priority: 1\n" for release in sorted(set(recipe.borrowed.values()))
    ]
    stanzas += [
        f"Package: {package}\nPin: release n={release}\nPin-Priority: 990\n"
        for package, release in sorted(recipe.borrowed.items())
    ]
    return "\n".join(stanzas)


def command(recipe: Recipe, target: Path, source_lines: list[str], *, hooks: list[str]) -> list[str]:
    """Return mmdebstrap's whole command line.

    Args:
        recipe: What to make.
        target: The tar to write.
        source_lines: apt sources.
        hooks: More options, where the packages come from and go to.
    """
    return [
        *("mmdebstrap", "--mode=root", "--variant=minbase", "--architectures=amd64", f"--keyring={KEYRING}"),
        f'--aptopt=Acquire::Min-ValidTime "{MIN_VALID_SECONDS}"',
        '--aptopt=APT::Install-Recommends "false"',
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=Acquire::Retries "3"',
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt={option}" for option in (*_DOCUMENTATION, *recipe.dpkg_options)),
        *hooks,
        *(f"--essential-hook={hook}" for hook in _essential_hooks(recipe)),
        f"--include={','.join(recipe.packages)}",
        *(f"--customize-hook={hook}" for hook in _customize_hooks(recipe, target)),
        recipe.suite,
        str(target),
        *source_lines,
    ]


def _essential_hooks(recipe: Recipe) -> list[str]:
    hooks = []
    for user in recipe.users:
        number, name = user.number, user.name
        # Debian's base files may hold the group's number already (26 is "tape"): a number must have one name.
        hooks.append(f'sed -i "/^[^:]*:[^:]*:{number}:/d" "$1"/etc/group')
        hooks.append(
            f'echo "{name}:x:{number}:" >> "$1"/etc/group; '
            f'echo "{name}:x:{number}:{number}::{user.home}:/usr/sbin/nologin" >> "$1"/etc/passwd; '
            f'echo "{name}:!::0:::::" >> "$1"/etc/shadow'
        )
    for path, text in sorted(recipe.files.items()):
        folder = shlex.quote(str(Path(path).parent))
        hooks.append(f'mkdir -p "$1"{folder}; printf %s {shlex.quote(text)} > "$1"{shlex.quote(path)}')
    return hooks


def _customize_hooks(recipe: Recipe, target: Path) -> list[str]:
    lock = shlex.quote(str(target.with_name(LOCK)))
    homes = [
        f'chroot "$1" install -d -o {user.number} -g {user.number} -m {user.home_mode:o} {user.home}'
        for user in recipe.users
    ]
    globs = " ".join(f'"$1"/{glob}' for glob in (*_RESIDUE, *recipe.remove))
    return [
        *homes,
        f'chroot "$1" dpkg-query -W -f "\\${{Package}}=\\${{Version}}:\\${{Architecture}}\\n" > {lock}',
        # No image runs as root, so a set-user-id program could only ever serve an attacker.
        'find "$1" -xdev -perm /6000 -type f -exec chmod a-s {} +',
        f"rm -rf {globs}",
    ]


def build(paths: Paths, recipe: Recipe, mirrors: Callable[[], Mirrors], reporter: Reporter) -> Path:
    """Return the artifact folder with the root file system's tar and its package lock, making it when needed.

    Args:
        paths: Where cache and logs are.
        recipe: What to make.
        mirrors: Asked only when packages must be downloaded.
        reporter: Shows what is done.

    Returns:
        A folder with ``rootfs.tar`` and ``packages.lock`` (lines ``name=version:architecture``).

    Raises:
        BuildFailed: mmdebstrap failed; the message has its last lines and names its log.
    """
    store = Store(paths.cache, reporter)
    name = f"rootfs-{recipe.name}"
    found = store.get(name, recipe.key)
    if found is not None:
        return found
    return store.put(name, recipe.key, lambda target: _build(paths, recipe, mirrors, reporter, target))


def _build(
    paths: Paths, recipe: Recipe, mirrors: Callable[[], Mirrors], reporter: Reporter, folder: Path
) -> dict[str, object]:
    debs = DebFolder(paths.debs / recipe.name, recipe.resolution_key)
    (debs.folder / "partial").mkdir(parents=True, exist_ok=True)
    locked = debs.usable_lock()
    target = folder / TAR
    paths.cache.mkdir(parents=True, exist_ok=True)
    with (
        reporter.step(f"Making the root file system {recipe.name}") as step,
        tempfile.TemporaryDirectory(prefix="rootfs-", dir=paths.cache) as scratch,
    ):
        if locked is None:
            lines, hooks = sources(recipe, mirrors()), _network_hooks(recipe, debs, Path(scratch))
        else:
            step.note("from kept packages")
            repository = Path(scratch) / "repository"
            repository.mkdir()
            debs.write_repository(repository, recipe.suite, locked)
            lines, hooks = [f"deb [trusted=yes] file://{repository} ./"], [f"--hook-dir={_AUTOMOUNT}"]
        environment = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "http_proxy", "https_proxy")},
            "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH),
            "TMPDIR": scratch,
            "LC_ALL": "C.UTF-8",
        }
        # mmdebstrap mounts things into the tree: in a mount namespace of our own nothing is left, whatever happens.
        argv = [
            *DIE_WITH_PARENT,
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"),
            *command(recipe, target, lines, hooks=hooks),
        ]
        log = paths.logs / f"rootfs-{recipe.name}.log"
        finished = run(argv, cwd=folder, env=environment, log=log, on_line=step.note)
    if finished.code:
        raise BuildFailed(
            f"the root file system {recipe.name} could not be made",
            why="mmdebstrap ended with\n" + "\n".join(finished.tail[-12:]),
            action=f"see {log}; when a mirror refused or was cut off, run again: what came is kept",
        )
    if locked is None:
        debs.write_lock(parse_installed((folder / LOCK).read_text(encoding="utf-8")))
    return {
        "wall_seconds": round(finished.wall_seconds, 1),
        "cpu_seconds": round(finished.cpu_seconds, 1),
        "from_lock": locked is not None,
    }


def _network_hooks(recipe: Recipe, debs: DebFolder, scratch: Path) -> list[str]:
    preferences = scratch / "preferences"
    preferences.write_text(pins(recipe), encoding="utf-8")
    kept = shlex.quote(str(debs.folder))
    return [
        "--skip=essential/unlink",  # or the essential packages would not be kept
        f'--setup-hook=cp {shlex.quote(str(preferences))} "$1"/etc/apt/preferences.d/careops',
        '--setup-hook=mkdir -p "$1"/var/cache/apt/archives',
        f"--setup-hook=sync-in {kept} /var/cache/apt/archives",
        f"--customize-hook=sync-out /var/cache/apt/archives {kept}",
    ]


def packages(artifact: Path) -> dict[str, str]:
    """Return package -> version of a root file system's artifact."""
    installed = parse_installed((artifact / LOCK).read_text(encoding="utf-8"))
    return {package.name: package.version for package in installed}


def tar_digest(artifact: Path) -> str:
    """Return the digest that the artifact's manifest, just verified, states for the tar."""
    files = json.loads((artifact / "manifest.json").read_text(encoding="utf-8"))["files"]
    return f"sha256:{files[TAR]['sha256']}"


def read_member(artifact: Path, name: str) -> bytes:
    """Return the content of one file of a root file system.

    Raises:
        BuildFailed: There is no such file.
    """
    with tarfile.open(artifact / TAR) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.name.removeprefix("./") == name else None
            if content is not None:
                return content.read()
    raise BuildFailed(
        f"{artifact.name} has no file {name}",
        why="a package that should bring it is not in the recipe",
        action="add the package to the recipe",
    )

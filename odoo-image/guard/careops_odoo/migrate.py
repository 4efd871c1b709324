"""Bring an environment's database to what its image and settings want: complete, or as it was before.

All work is done on a copy, ``<database>_next``, that takes the database's place by two renames in one transaction.
Until then the database is only closed; whatever ends the migration, the next run finds one of few states and finishes
or undoes it (`plan.recovery`). The filestore needs no copy: its files are named by their content and only ever added.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from . import identity, plan
from .database import Content, Marks, Server, analyse, read_content, record
from .errors import NotYet, Refused
from .programs import extract_filestore
from .release import read_release, refuse_downgrade
from .settings import image_modules

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    from .programs import Programs
    from .release import Release
    from .settings import Pod, Secrets, Settings

LOCK_SECONDS = 120.0
"""A killed migration's session ends within half a minute; a running one may take much longer and is left alone."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """The three databases of a migration."""

    main: str

    @property
    def copy(self) -> str:
        """What the migration works on."""
        return f"{self.main}_next"

    @property
    def previous(self) -> str:
        """What the database was before the last migration; kept, closed, until the next one."""
        return f"{self.main}_previous"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Folders of the pod: data with the filestore, and what the image brings."""

    data: Path
    baseline: Path
    share: Path

    def image_modules(self) -> dict[str, str]:
        """Return module -> checksum of everything in this image."""
        return image_modules(self.share)

    def image_release(self) -> Release:
        """Return the versions in this image."""
        return read_release(self.share)

    def filestore(self, database: str) -> Path:
        """Return a database's filestore folder."""
        return self.data / "filestore" / database


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One run.

    Attributes:
        pod: Where the database is and whose environment this is.
        settings: What it should be.
        secrets: Its first login.
        places: Folders.
        programs: pg_restore and Odoo.
        step: Told before each step; for the log.
    """

    pod: Pod
    settings: Settings
    secrets: Secrets
    places: Places
    programs: Programs
    step: Callable[[str], None]

    @property
    def names(self) -> Names:
        """The databases' names."""
        return Names(main=self.pod.database)

    def run(self) -> None:
        """Migrate.

        Raises:
            Refused: Something belongs to another environment, or the wanted state cannot be.
            NotYet: Another migration is running.
            StepFailed: A program failed; everything is as it was before.
            Unavailable: The server cannot be reached.
        """
        identity.check(identity.secret_mark(self.secrets.identity), self.pod.identity)
        identity.check(identity.filestore_mark(self.places.data), self.pod.identity)
        with contextlib.closing(Server(self.pod)) as server:
            self.step("lock")
            if not server.lock(LOCK_SECONDS):
                raise NotYet(
                    "another migration of this environment is running",
                    why=f"it has held the lock for more than {LOCK_SECONDS:.0f} s",
                    action="wait for it, or end it; this one is started again",
                )
            self._run_locked(server)

    def _run_locked(self, server: Server) -> None:
        image = self.places.image_modules()
        wanted = plan.fingerprint(self.pod.identity, self.settings, image)
        self._recover(server, wanted)
        content = read_content(self.pod, self.names.main)
        identity.check(content.mark, self.pod.identity)
        refuse_downgrade(content, self.places.image_release())
        identity.write_filestore_mark(self.places.data, self.pod.identity)
        if content.empty:
            self._first(server, image, wanted)
        else:
            todo = plan.plan(content, self.settings, image)
            self.step(f"plan: {todo}")
            if not todo.nothing:
                self._change(server, todo, image, wanted)
        if not identity.is_initialised(self.places.data):
            identity.write_initialised(self.places.data)

    # -- after an interrupted run ----------------------------------------------------------------------------

    def _recover(self, server: Server, wanted: str) -> None:
        names, found = self.names, server.databases()
        todo = plan.recovery(found.get(names.main), found.get(names.copy), found.get(names.previous), wanted)
        if todo != "nothing":
            self.step(f"recovery: {todo}")
        match todo:
            case "swap the copy in":
                server.drop(names.previous)
                server.swap(names.main, names.copy, names.previous)
            case "rename the copy":
                server.rename(names.copy, names.main)
            case "bring the previous one back":
                server.rename(names.previous, names.main)
            case "discard the copy":
                server.drop(names.copy)
        if names.main not in server.databases():
            raise Refused(
                f"there is no database {names.main}",
                why="the PostgreSQL cluster should have been created with it",
                action="see the cluster's bootstrap section",
            )
        self._open(server)

    def _open(self, server: Server) -> None:
        """Let people in again, and remove the copy's way into the filestore."""
        self._unlink_filestore()
        if not server.databases()[self.names.main].open:
            server.allow_connections(self.names.main, allowed=True)

    # -- first start -----------------------------------------------------------------------------------------

    def _first(self, server: Server, image: Mapping[str, str], wanted: str) -> None:
        if identity.is_initialised(self.places.data):
            raise Refused(
                "the database is empty, but this environment had one before",
                why="its filestore says so: a fresh start here would hide the loss of its data",
                action="restore the database from its backup; or, to begin anew, delete the filestore's claim as well",
            )
        missing = sorted(set(self.settings.modules) - image.keys())
        if missing:
            plan.plan(Content(empty=True, checksums={}), self.settings, image)  # raises, naming them
        dump, files = self.places.baseline / "database.dump", self.places.baseline / "filestore.tar"
        if not (dump.is_file() and files.is_file()):
            raise Refused(
                f"there is no baseline in {self.places.baseline}",
                why="an empty database is restored from the baseline, which is part of the baseline image",
                action="run the migration with the image odoo-baseline-<standard or demo>",
            )
        with self._on_a_copy(server, wanted):
            self.step("restore")
            self.programs.restore(dump, self.names.copy)
            self.step("filestore")
            extract_filestore(files, self.places.filestore(self.names.main))
            todo = plan.plan(read_content(self.pod, self.names.copy), self.settings, self._baseline_modules())
            if todo.install:
                self._upgrade(plan.Plan(install=todo.install, update=(), personal=False))
            self._personalise(first=True)
            self._record(image)
            analyse(self.pod, self.names.copy)
        self.step("drop empty")
        server.drop(self.names.previous)

    def _baseline_modules(self) -> dict[str, str]:
        return json.loads((self.places.baseline / "modules.json").read_text(encoding="utf-8"))

    # -- later starts ----------------------------------------------------------------------------------------

    def _change(self, server: Server, todo: plan.Plan, image: Mapping[str, str], wanted: str) -> None:
        with self._on_a_copy(server, wanted):
            if todo.install or todo.update:
                self._upgrade(todo)
            if todo.personal:
                self._personalise(first=False)
            self._record(image)

    # -- the copy --------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _on_a_copy(self, server: Server, wanted: str) -> Generator[None]:
        """Close the database, copy it, let the caller change the copy, swap; undo all of it when the caller fails."""
        names = self.names
        try:
            self.step("drop previous")
            server.drop(names.previous)
            self.step("close")
            server.allow_connections(names.main, allowed=False)
            self.step("copy")
            server.copy(names.main, names.copy)
            self._link_filestore()
            yield
            self.step("ready")
            server.mark_ready(names.copy, wanted)
            self.step("swap")
            server.swap(names.main, names.copy, names.previous)
        except BaseException:  # also when the pod is told to stop
            self.step("undo")
            server.drop(names.copy)
            self._open(server)
            raise
        self.step("open")
        self._open(server)

    def _upgrade(self, todo: plan.Plan) -> None:
        self.step("upgrade")
        self.programs.upgrade(self.names.copy, todo.install, todo.update)
        after = read_content(self.pod, self.names.copy)
        plan.refuse_unfinished(after, todo, untouched="the database is as it was before")

    def _personalise(self, *, first: bool) -> None:
        self.step("personalise")
        login = asdict(self.secrets) if first else None
        settings = self.settings
        wishes = {
            "first": first,
            "admin": login and {"login": login["admin_login"], "password": login["admin_password"]},
            "company": asdict(settings.company),
            "languages": list(settings.languages),
            "base_url": settings.base_url,
            "own_relay": settings.smtp is not None,
            "banner": settings.banner,
        }
        self.programs.personalise(self.names.copy, wishes)

    def _record(self, image: Mapping[str, str]) -> None:
        self.step("record")
        installed = read_content(self.pod, self.names.copy).installed
        checksums = {name: image[name] for name in installed if name in image}
        marks = Marks(
            identity=self.pod.identity,
            modules=checksums,
            personal=self.settings.personal_digest(),
            release=self.places.image_release().package,
        )
        record(self.pod, self.names.copy, marks)

    def _link_filestore(self) -> None:
        """Let Odoo find the files when it runs on the copy, and keep there what it adds."""
        self.places.filestore(self.names.main).mkdir(parents=True, exist_ok=True)
        self._unlink_filestore()
        self.places.filestore(self.names.copy).symlink_to(self.names.main)

    def _unlink_filestore(self) -> None:
        link = self.places.filestore(self.names.copy)
        if link.is_symlink():
            link.unlink()
        elif link.exists():
            shutil.rmtree(link)

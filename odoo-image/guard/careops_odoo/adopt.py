"""Make a masked database training's own, and swap it in once it is verified; or swap the previous one back.

Until the swap nothing of training is touched: all work is done in `odoo_refresh`, which only the refresh's role may
enter. The swap is one transaction. Whatever ends a run, training is the old one or the new one, and the next run drops
what is left (`_tidy` here, `operations/anonymise/target.py` on the other side).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import adopt_certificate, adopt_faults, adopt_files, identity, login, plan
from .adopt_marks import ADOPTED, DATABASE, MASKED, VERIFIED, Meeting
from .adopt_swap import BEFORE, DISCARDED, RefreshServer, reassign
from .database import GENERATION_PARAMETER, Marks, analyse, connect, read_content, record, write_parameters
from .errors import NotYet, Refused, StepFailed
from .migrate import LOCK_SECONDS
from .release import refuse_downgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from .adopt_settings import Run
    from .database import Content
    from .migrate import Places
    from .programs import Programs
    from .settings import Pod, Secrets, Settings

CERTIFICATE_PARAMETER = "careops.refresh"
BANNER_PARAMETER = "careops.banner"
_MISSING_TOLD = 3


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """One run.

    Attributes:
        pod: Training as its own pods see it.
        mine: The same as the refresh's role.
        run: Which run, and who gets a login.
        settings: What training should be.
        secrets: Its first login.
        places: Folders.
        programs: Odoo, as the refresh's role.
        step: Told before each step; for the log.
    """

    pod: Pod
    mine: Pod
    run: Run
    settings: Settings
    secrets: Secrets
    places: Places
    programs: Programs
    step: Callable[[str], None]

    # -- the refresh -----------------------------------------------------------------------------------------

    def go(self) -> Mapping[str, Any]:
        """Adopt, wait for the verification, swap; returns the certificate.

        Raises:
            CommandError: With what to do about it; training is as it was.
        """
        self._check_marks()
        with contextlib.closing(self._server()) as server:
            self._tidy(server)
        try:
            certificate = self._until_verified()
            self._take_over(certificate)
        except BaseException:
            self._discard()
            raise
        return certificate

    def _until_verified(self) -> Mapping[str, Any]:
        """Adopt the masked database and wait for its verification; returns the certificate, whose signature holds."""
        meeting = Meeting(self._next, self.run.number, self.run.wait_seconds, self.step)
        with contextlib.closing(meeting):
            try:
                self.step("wait for the masked database")
                masked = meeting.wait(MASKED)
                updated = self._adopt(masked)
                self.step("mark adopted")
                release = self.places.image_release().package
                meeting.leave_mark(ADOPTED, release=release, updated=list(updated), logins=len(self.run.passwords()))
                self.step("wait for the verification")
                signed: Mapping[str, Any] = meeting.wait(VERIFIED)["certificate"]
                adopt_certificate.check(signed, self.run.evidence, self.run.number, self.pod.identity)
            except BaseException as error:
                meeting.fail(adopt_faults.what(error))
                raise
        return signed

    def _discard(self) -> None:
        """Drop what nobody may use, where the masking program is not there any more to do so itself."""
        try:
            with contextlib.closing(self._server()) as server:
                if server.discard(self.run.number):
                    self.step("dropped the database of this run, which nobody will verify any more")
            # After the database: a filestore that is full must not keep it. The next run hands back what stays.
            adopt_files.hand_back(self._store)
        except Exception as error:  # the error that ended the run is the one to tell; its own would hide it
            self.step(f"what is left of this run stays until the next one: {adopt_faults.what(error)}")

    def _adopt(self, masked: Mapping[str, Any]) -> tuple[str, ...]:
        """Make the masked database training's own; returns the modules that were brought to this image's version."""
        if masked.get("identity") != self.run.source_identity:
            raise Refused(
                f"the masked database is {masked.get('identity') or 'of unknown origin'}",
                why=f"this run takes {self.run.source_identity}'s",
                action="apply the settings of both environments again, and start a new run",
            )
        self.step("compare releases")
        todo = self._plan(masked)
        self.step("link filestore")
        adopt_files.link(self._store, self._store_link)
        self.step("files")
        written = adopt_files.place_files(self._next, self._store)
        self.step(f"files written: {written}")
        if todo.install or todo.update:
            self.step(f"upgrade: {todo}")
            self._upgrade(todo)
        self.step("neutralise")
        self._neutralise()
        self.step("recompute")
        fields = masked.get("recompute", [])
        self.programs.script("recomputing fields", "adopt_recompute.py", DATABASE, {"fields": fields})
        self.step("personalise")
        self.programs.personalise(DATABASE, self._wishes(masked))
        self.step("logins")
        self._logins()
        self.step("record")
        self._record(masked)
        self.step("smoke boot")
        first = next(iter(self.run.passwords().items()))
        wishes = {"login": first[0], "password": first[1]}
        self.programs.script("trying the database", "adopt_smoke.py", DATABASE, wishes)
        self.step("statistics")
        analyse(self._next, DATABASE)
        self._refuse_missing_files()
        return todo.update

    def _plan(self, masked: Mapping[str, Any]) -> plan.Plan:
        """Decide what of the masked database is behind this image.

        Raises:
            Refused: It is ahead: its modules are newer, or this image does not have them.
        """
        content = read_content(self._next, DATABASE)
        content = dataclasses.replace(content, checksums=masked.get("modules") or {}, release=masked.get("release"))
        try:
            refuse_downgrade(content, self.places.image_release())
            return plan.plan(content, self.settings, self.places.image_modules())
        except Refused as error:
            raise Refused(
                f"production is ahead of training: {error.what}",
                why=error.why,
                action="deploy production's release to training first, then start a new run",
            ) from error

    def _upgrade(self, todo: plan.Plan) -> None:
        self.programs.upgrade(DATABASE, todo.install, todo.update)
        plan.refuse_unfinished(read_content(self._next, DATABASE), todo, untouched="training is as it was")

    def _neutralise(self) -> None:
        self.programs.neutralise(DATABASE)
        with contextlib.closing(connect(self._next, DATABASE)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT value FROM ir_config_parameter WHERE key = 'database.is_neutralized'")
            if (cursor.fetchone() or ("",))[0].lower() != "true":
                raise StepFailed(
                    "Odoo did not neutralise the database",
                    why="the mark that it leaves there is not set",
                    action="training is as it was; see Odoo's output above",
                )

    def _wishes(self, masked: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is written as in a migration; languages and company stay production's, masked."""
        settings = self.settings
        return {
            "first": False,
            "admin": None,
            "company": None,
            "languages": list(settings.languages),
            "base_url": settings.base_url,
            "own_relay": settings.smtp is not None,
            "banner": self._banner(masked),
        }

    def _banner(self, masked: Mapping[str, Any]) -> str:
        # Not the day: beside the newest record it would tell by how much the run moved its dates.
        month = str(masked.get("source_time") or "")[:7]
        return f"TRAINING · data as of {month}, masked · release {self.places.image_release().package}"

    def _logins(self) -> None:
        roles = [{"name": role.name, "groups": role.groups, "logins": role.logins} for role in self.run.roles]
        wishes = {"roles": roles, "passwords": self.run.passwords()}
        self.programs.script("making the training's logins", "adopt_logins.py", DATABASE, wishes)

    def _record(self, masked: Mapping[str, Any]) -> None:
        image = self.places.image_modules()
        installed = read_content(self._next, DATABASE).installed
        marks = Marks(
            identity=self.pod.identity,
            modules={name: image[name] for name in installed if name in image},
            personal=self.settings.personal_digest(),
            release=self.places.image_release().package,
        )
        record(self._next, DATABASE, marks)
        generation = {GENERATION_PARAMETER: self.run.number, BANNER_PARAMETER: self._banner(masked)}
        write_parameters(self._next, DATABASE, generation)

    def _refuse_missing_files(self) -> None:
        missing = adopt_files.missing_files(self._next, self._store)
        if missing:
            raise StepFailed(
                f"{len(missing)} files that rows name are not in training's filestore",
                why=f"neither the masking program handed them over nor training has them: {missing[:_MISSING_TOLD]}",
                action="report this; training is as it was",
            )

    # -- the swap --------------------------------------------------------------------------------------------

    def _take_over(self, certificate: Mapping[str, Any]) -> None:
        with contextlib.closing(self._server()) as server:
            self._lock(server)
            self._refuse_unfit(read_content(self.pod_as_mine, self.pod.database), "training was migrated meanwhile")
            self.step("check files")
            self._refuse_missing_files()
            self.step("administrator")
            # Only now: the verification would take the Secret's login for production's, which may be the same word.
            self._administrator()
            write_parameters(self._next, DATABASE, {CERTIFICATE_PARAMETER: json.dumps(dict(certificate))})
            self.step("keep files")
            adopt_files.keep(self._store, self._kept)
            self.step("hand over")
            reassign(self.mine, self.pod.user)
            self.step("swap")
            server.swap_in()
            self.step("swapped")
            adopt_files.journal(self._store).unlink(missing_ok=True)
            self._after(server)

    def _administrator(self) -> None:
        inside = dataclasses.replace(self._next, database=DATABASE)
        with contextlib.closing(connect(inside, DATABASE)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "UPDATE res_users SET login = %s WHERE id = (SELECT res_id FROM ir_model_data"
                " WHERE module = 'base' AND name = 'user_admin' AND model = 'res.users')",
                (self.secrets.admin_login,),
            )
        # A Secret that people made has no serial; its password counts all the same in a new database.
        login.keep(inside, self.secrets, login.read_serial() or f"refresh {self.run.number}", self.step)

    # -- the rollback ----------------------------------------------------------------------------------------

    def back(self) -> None:
        """Exchange training and what it was before its last refresh; a second rollback goes forward again.

        Raises:
            CommandError: With what to do about it; training is as it was.
        """
        self._check_marks()
        with contextlib.closing(self._server()) as server:
            self._lock(server)
            self._tidy(server)
            if BEFORE not in server.databases():
                raise Refused(
                    "there is no training database to go back to",
                    why="no refresh has replaced one, or the one before it was removed",
                    action="start a refresh: careops refresh training",
                )
            self.step("look at the previous database")
            server.allow_connections(BEFORE, allowed=True)
            try:
                self._refuse_unfit(read_content(self.pod_as_mine, BEFORE), "the previous database is not this image's")
            except BaseException:
                server.allow_connections(BEFORE, allowed=False)
                raise
            self.step("keep files")
            adopt_files.keep(self._kept, self._store)
            adopt_files.keep(self._store, self._kept)
            self.step("swap")
            server.swap_back()
            self.step("swapped")
            self._after(server, forget=False)

    # -- both ------------------------------------------------------------------------------------------------

    def _server(self) -> RefreshServer:
        return RefreshServer(self.mine, self.pod.database, self.pod.user)

    @property
    def pod_as_mine(self) -> Pod:
        """Training's own database, entered by the refresh's role acting as training's."""
        return dataclasses.replace(self.mine, acts_as=self.pod.user)

    @property
    def _next(self) -> Pod:
        return dataclasses.replace(self.mine, database=DATABASE, acts_as=self.pod.user)

    @property
    def _store(self) -> Path:
        return self.places.filestore(self.pod.database)

    @property
    def _store_link(self) -> Path:
        return self.places.filestore(DATABASE)

    @property
    def _kept(self) -> Path:
        return self.places.filestore(BEFORE)

    def _check_marks(self) -> None:
        identity.check(identity.secret_mark(self.secrets.identity), self.pod.identity)
        identity.check(identity.filestore_mark(self.places.data), self.pod.identity)
        identity.check(read_content(self.pod_as_mine, self.pod.database).mark, self.pod.identity)

    def _lock(self, server: RefreshServer) -> None:
        self.step("lock")
        if not server.lock(LOCK_SECONDS):
            raise NotYet(
                "a migration of training is running",
                why=f"it has held the lock for more than {LOCK_SECONDS:.0f} s",
                action="wait for it to end, then start a new run",
            )

    def _tidy(self, server: RefreshServer) -> None:
        """Remove what a run left that was killed."""
        self.step("tidy")
        adopt_files.unlink(self._store_link)
        adopt_files.hand_back(self._store)
        found = server.databases()
        if DISCARDED in found:
            server.drop(DISCARDED)
        if BEFORE in found and found[BEFORE].open:
            server.allow_connections(BEFORE, allowed=False)

    def _after(self, server: RefreshServer, *, forget: bool = True) -> None:
        self.step("sessions")
        adopt_files.empty_sessions(self.places.data)
        self._tidy(server)
        if forget:
            self.step("forget files")
            adopt_files.forget(self._kept, self._store)

    def _refuse_unfit(self, content: Content, what: str) -> None:
        """Refuse a database that this image's code must not work on.

        Raises:
            Refused: It is another environment's, or was migrated for another image.
        """
        identity.check(content.mark, self.pod.identity)
        image = self.places.image_modules()
        differing = sorted(name for name in content.installed if content.checksums.get(name) != image.get(name))
        if differing:
            raise Refused(
                what,
                why=f"modules that differ from this image's: {', '.join(differing[:5])}",
                action="start a refresh with the release that training has now: careops refresh training",
            )

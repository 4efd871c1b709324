"""Where requests are made, decided and ended: reads what there is, decides, writes one entry, and looks again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from operations.errors import OperationError, Problem, failure
from operations.exit_codes import ExitCode
from operations.sandbox.decide import (
    Situation,
    is_due,
    problems_of,
    reason_problems,
    rebuild_problems,
    wrong_state,
)
from operations.sandbox.hours import class_hours, meet
from operations.sandbox.model import Entry, next_entry
from operations.sandbox.wish import read

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.plans.sandbox import State
    from operations.sandbox.model import Request
    from operations.sandbox.store import Store
    from operations.sandbox.wish import Wish


class Desk:
    """Acts for one person.

    Args:
        store: The requests, with the person's access.
        now: This moment, UTC.
    """

    def __init__(self, store: Store, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store = store
        self._now = now

    def situation(self) -> Situation:
        """Return what decisions depend on now."""
        rules, others = self._store.rules(), self._store.all()
        return Situation(rules=rules, others=others, now=self._now(), unreadable=self._store.unreadable)

    def ask(self, wish: Wish) -> Request:
        """Make a request.

        Raises:
            OperationError: With `USAGE` and every problem at once; with `NOT_ALLOWED` for who may not ask.
        """
        situation = self.situation()
        asked, problems = read(wish, situation)
        if problems or asked is None:
            raise OperationError(ExitCode.USAGE, *problems)
        reason = wish.reason.strip()
        entry = Entry(number=1, state="requested", who=self._store.whoami(), when=situation.now, why=reason)
        return self._store.create(asked, entry)

    def approve(self, name: str, why: str) -> Request:
        """Approve a request of somebody else's; what it asks for is judged again.

        Raises:
            OperationError: With `NOT_ALLOWED` for who asked themselves, with `USAGE` for what cannot be granted, with
                `LOCK_HELD` when another class was approved for these hours at the same moment.
        """
        request, who = self._decided(name, "approved", why)
        if problems := problems_of(request.asked, self.situation(), own_id=request.id):
            raise OperationError(ExitCode.USAGE, *problems)
        approved = self._store.append(request, next_entry(request, "approved", who, when=self._now(), why=why.strip()))
        self._refuse_second(approved, who)
        return approved

    def reject(self, name: str, why: str) -> Request:
        """Reject a request of somebody else's.

        Raises:
            OperationError: With `NOT_ALLOWED` for who asked themselves, with `USAGE` in a state that does not allow it.
        """
        request, who = self._decided(name, "rejected", why)
        return self._store.append(request, next_entry(request, "rejected", who, when=self._now(), why=why.strip()))

    def withdraw(self, name: str, why: str) -> Request:
        """Withdraw a request, approved or not.

        Raises:
            OperationError: With `USAGE` in a state that does not allow it, with `NOT_ALLOWED` for another's request.
        """
        request = self._in_state(name, "withdrawn", why)
        entry = next_entry(request, "withdrawn", self._store.whoami(), when=self._now(), why=why.strip())
        return self._store.append(request, entry)

    def to_rebuild(self, name: str) -> Request:
        """Return an approved request that training may be refreshed for now.

        Raises:
            OperationError: With `USAGE` and every problem at once.
        """
        request = self._store.one(name)
        if problems := rebuild_problems(request, self.situation()):
            raise OperationError(ExitCode.USAGE, *problems)
        return request

    def ready(self, name: str, run: str) -> Request:
        """Note that a refresh made training ready for a request.

        Args:
            name: Its id.
            run: The refresh.
        """
        request = self._store.one(name)
        entry = next_entry(request, "ready", self._store.whoami(), when=self._now(), why="refreshed", run=run)
        return self._store.append(request, entry)

    def expire(self) -> list[Request]:
        """Mark every request whose time is over, and return them."""
        situation = self.situation()
        due = [each for each in situation.others if is_due(each, situation.rules, situation.now)]
        who = self._store.whoami() if due else ""
        return [self._store.append(each, self._expired(each, who)) for each in due]

    def _expired(self, request: Request, who: str) -> Entry:
        why = "nobody approved it before it began" if request.state == "requested" else "its time is over"
        return next_entry(request, "expired", who, when=self._now(), why=why)

    def _decided(self, name: str, state: State, why: str) -> tuple[Request, str]:
        """Return a request that a second person may decide about, and that person."""
        request, who = self._in_state(name, state, why), self._store.whoami()
        if who == request.requester:
            raise failure(
                ExitCode.NOT_ALLOWED,
                f"The request {name} cannot be {state} by {who}, who asked for it",
                "a second person decides, and the cluster checks that it is one",
                f"have somebody else decide; your own request ends with: ./careops sandbox withdraw {name} --why TEXT",
            )
        return request, who

    def _in_state(self, name: str, state: State, why: str) -> Request:
        request = self._store.one(name)
        problems = reason_problems(why) if why.strip() or state != "approved" else []
        if not request.may_become(state):
            problems.append(wrong_state(request, state))
        if problems:
            raise OperationError(ExitCode.USAGE, *problems)
        return request

    def _refuse_second(self, approved: Request, who: str) -> None:
        """Take an approval back that meets another one: two people may have approved at the same moment.

        Whoever writes second sees the other, so that two never stay; when both see each other, neither stays.
        """
        hours = class_hours(approved.asked)
        others = [
            each for each in self.situation().granted if each.id != approved.id and meet(hours, class_hours(each.asked))
        ]
        if not others:
            return
        why = f"taken back: {others[0].id} was approved for the same hours"
        self._store.append(approved, next_entry(approved, "requested", who, when=self._now(), why=why))
        raise OperationError(
            ExitCode.LOCK_HELD,
            Problem(
                what=f"The request {approved.id} is not approved",
                why=f"{others[0].asked.course} ({others[0].id}) was approved for the same hours at the same moment",
                action="see which one stands (./careops sandbox list), then approve or reject",
            ),
        )

"""`careops test`: checks, tests, a platform to test on, live tests, and taking it down again."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from operations.gate import CheckResult
    from operations.session import Session

TEST_STATE = ".careops-test"
TEST_API_PORT = 16543
FULL_VARIABLE = "CAREOPS_TEST_FULL"
PYTEST_OK = 0


@dataclass(frozen=True, kw_only=True)
class Suite:
    """What to test.

    Attributes:
        fast: Only what needs no platform.
        full: Every matrix whole instead of sampled.
        keep: Leave the test platform running.
    """

    fast: bool = False
    full: bool = False
    keep: bool = False


@dataclass(frozen=True, kw_only=True)
class PytestRun:
    """What one pytest run came to.

    Attributes:
        code: pytest's exit status.
        closing: Its closing line.
    """

    code: int
    closing: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One phase of the suite.

    Attributes:
        name: For people.
        seconds: How long it took.
        passed: Whether it passed.
        detail: One line: pytest's closing line, or which checks failed.
    """

    name: str
    seconds: float
    passed: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the suite came to.

    Attributes:
        outcomes: Every phase that ran, in order.
    """

    outcomes: tuple[Outcome, ...]

    @property
    def passed(self) -> bool:
        """Whether every phase passed; a suite in which nothing ran did not."""
        return bool(self.outcomes) and all(outcome.passed for outcome in self.outcomes)

    @property
    def seconds(self) -> float:
        """How long the phases took, one after the other."""
        return sum(outcome.seconds for outcome in self.outcomes)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        phases = [asdict(outcome) | {"seconds": round(outcome.seconds, 3)} for outcome in self.outcomes]
        return {"schema": 1, "passed": self.passed, "seconds": round(self.seconds, 3), "phases": phases}


class SuiteParts(Protocol):
    """What the suite acts through."""

    def gate(self) -> Sequence[CheckResult]:
        """Run every check."""
        ...

    def pytest(self, marker: str, environ: Mapping[str, str]) -> PytestRun:
        """Run the tests a marker expression selects and show what they say."""
        ...

    def careops(self, arguments: Sequence[str], environ: Mapping[str, str]) -> int:
        """Run a careops command and return its exit code."""
        ...


@dataclass
class _Run:
    session: Session
    suite: Suite
    parts: SuiteParts
    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    outcomes: list[Outcome] = field(default_factory=list)

    def phase(self, name: str, work: Callable[[], tuple[bool, str]]) -> bool:
        """Run one phase, keep and say what came of it."""
        self.say(f"\n== {name}")
        begin = self.clock()
        passed, detail = work()
        self.outcomes.append(
            Outcome(name=name, seconds=self.clock() - begin, passed=passed, detail=detail),
        )
        return passed


def run_suite(session: Session, suite: Suite, parts: SuiteParts | None = None, out: TextIO | None = None) -> Report:
    """Run the suite and return what it came to; the closing summary is the last thing said.

    The code checks do not stop the tests: whoever waits for a run wants all of its news. A platform that does not
    come up does: live tests on it would only repeat that.

    Args:
        session: This invocation.
        suite: What to test.
        parts: What it acts through; the programs of the locked environment by default.
        out: Where everything is shown, what those programs say too; stdout by default.
    """
    shown = out or sys.stdout
    run = _Run(session=session, suite=suite, parts=parts or ProcessParts(session, shown), say=_say_on(shown))
    try:
        _phases(run)
    finally:
        run.say(summary(Report(outcomes=tuple(run.outcomes))))
    return Report(outcomes=tuple(run.outcomes))


def _phases(run: _Run) -> None:
    environ = test_environment(run.session, run.suite)
    run.phase("code checks", lambda: judge_gate(run.parts.gate(), run.say))
    fast = run.phase(
        "tests without a platform", lambda: judge_pytest(run.parts.pytest(selection("not live", run.suite), environ))
    )
    if run.suite.fast:
        return
    if not fast:
        run.say("the test platform is not started: tests without a platform failed already")
        return
    try:
        if run.phase("up of the test platform", lambda: judge_command(run.parts.careops(["up"], environ))):
            run.phase("live tests", lambda: judge_pytest(run.parts.pytest(selection("live", run.suite), environ)))
    finally:
        if run.suite.keep:
            run.say(f"the test platform stays: CAREOPS_STATE={environ['CAREOPS_STATE']} ./careops status")
        else:
            run.phase("removal of the test platform", lambda: judge_command(run.parts.careops(REMOVE, environ)))


def selection(marker: str, suite: Suite) -> str:
    """Return the marker expression for pytest: tests marked `full` only when the whole of everything was asked for."""
    return marker if suite.full else f"{marker} and not full"


REMOVE = ("down", "--all", "--yes", "--no-input", "--confirm", "training", "--confirm", "prod")


def test_environment(session: Session, suite: Suite) -> dict[str, str]:
    """Return the environment of everything that touches the test platform: its own state, its own port."""
    environ = {
        **session.environ,
        "CAREOPS_STATE": str(session.paths.root / TEST_STATE),
        "CAREOPS_API_PORT": str(TEST_API_PORT),
    }
    environ.pop("CAREOPS_FACTS", None)
    environ.pop("KUBECONFIG", None)
    if suite.full:
        environ[FULL_VARIABLE] = "1"
    return environ


def judge_gate(results: Sequence[CheckResult], say: Callable[[str], None]) -> tuple[bool, str]:
    """Say what failed, whole, and return whether all passed; no results at all is a failure."""
    failed = [result for result in results if not result.passed]
    for result in failed:
        say(f"-- {result.check.name} failed (to mend it: {result.check.fix})\n{result.output}")
    if failed:
        return False, "failed: " + ", ".join(result.check.name for result in failed)
    return bool(results), f"{len(results)} checks"


def judge_pytest(run: PytestRun) -> tuple[bool, str]:
    """Return whether pytest passed; anything but 0 fails, 5 (nothing was collected) too."""
    return run.code == PYTEST_OK, run.closing or f"pytest ended with {run.code} and said nothing"


def judge_command(code: int) -> tuple[bool, str]:
    """Return whether a careops command succeeded."""
    return code == 0, "done" if code == 0 else f"exit code {code}"


def summary(report: Report) -> str:
    """Return the closing summary: phases with their times and verdicts, pytest's closing lines among them."""
    lines = ["\n== summary"]
    for outcome in report.outcomes:
        word = "passed" if outcome.passed else "FAILED"
        lines.append(f"{word}  {outcome.seconds:7.1f} s  {outcome.name}: {outcome.detail}")
    verdict = "passed" if report.passed else "FAILED"
    lines.append(f"{verdict}  {report.seconds:7.1f} s  all")
    return "\n".join(lines)


def _say_on(out: TextIO) -> Callable[[str], None]:
    def say(text: str) -> None:
        sys.stderr.flush()
        out.write(text + "\n")
        out.flush()

    return say


class ProcessParts:
    """The suite's parts as programs of the locked environment."""

    def __init__(self, session: Session, out: TextIO) -> None:
        self._root = session.paths.root
        self._out = out
        self._programs = Path(sys.executable).parent

    def gate(self) -> Sequence[CheckResult]:
        """Run every check."""
        from operations.gate import checks, containerfiles, run_check, shell_scripts

        with tempfile.TemporaryDirectory(prefix="careops-gate-") as folder:
            rendered = containerfiles(self._root, Path(folder))
            found = checks(self._programs, shell_scripts(self._root), rendered)
            return [run_check(check, self._root) for check in found]

    def pytest(self, marker: str, environ: Mapping[str, str]) -> PytestRun:
        """Run the tests a marker expression selects, in the terminal's colours where there is one."""
        color = "yes" if self._out.isatty() else "no"
        command = [sys.executable, "-m", "pytest", "-m", marker, f"--color={color}"]
        process = subprocess.Popen(
            command,
            cwd=self._root,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        last = ""
        try:
            for line in process.stdout or ():
                self._out.write(line)
                self._out.flush()
                last = line.strip() or last
            return PytestRun(code=process.wait(), closing=last)
        except BaseException:
            process.terminate()
            process.wait()
            raise

    def careops(self, arguments: Sequence[str], environ: Mapping[str, str]) -> int:
        """Run a careops command of this very checkout."""
        command = [sys.executable, "-P", "-m", "operations.cli", *arguments]
        return subprocess.run(
            command, cwd=self._root, env=dict(environ), stdin=subprocess.DEVNULL, stdout=self._out, check=False
        ).returncode

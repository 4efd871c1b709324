"""Progress on stderr: a live list on a terminal, plain lines with a heartbeat everywhere else."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rich.console import Console, ConsoleOptions, RenderResult

    from toolchain.progress import Reporter

SHOW_AFTER = 2.0
"""Seconds a step may take before its start is worth a line of its own."""

HEARTBEAT = 30.0
"""Seconds between two signs of life of a long step where there is no live display."""


class RunningStep:
    """A step that was started and has not ended."""

    def __init__(self, title: str, begin: float, *, thread: int = 0, depth: int = 0) -> None:
        self.title = title
        self.begin = begin
        self.thread = thread
        self.depth = depth
        self.text = ""
        self.shown_at: float | None = None

    def note(self, text: str) -> None:
        """Replace what the step says about itself."""
        self.text = text


def duration(seconds: float) -> str:
    """Return a duration for people: `4.2 s`, `3 min 07 s`, `1 h 02 min`."""
    if seconds < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004 - minutes in an hour
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


class _Steps:
    """What both displays share: the running steps, and how a step begins and ends."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.running: list[RunningStep] = []
        self._owner = threading.get_ident()

    @contextlib.contextmanager
    def step(self, title: str) -> Generator[RunningStep]:
        """Show one step for as long as the block runs."""
        thread = threading.get_ident()
        with self.lock:
            step = RunningStep(title, self.clock(), thread=thread, depth=self._depth(thread))
            self._insert(step)
        word = "failed"
        try:
            yield step
            word = "done"
        except KeyboardInterrupt:
            word = "interrupted"
            raise
        finally:
            with self.lock:
                self.running.remove(step)
                self.ended(step, word, self.clock() - step.begin)

    def ended(self, step: RunningStep, word: str, seconds: float) -> None:
        """Show that a step ended."""
        raise NotImplementedError

    def _depth(self, thread: int) -> int:
        """Return how deep a step of this thread stands: in the thread's own step, else in the one that started it all.

        Two steps that run beside each other are equals, although one began later.
        """
        inside = [one.depth for one in self.running if one.thread == thread]
        around = inside or [one.depth for one in self.running if one.thread == self._owner]
        return max(around, default=-1) + 1

    def _insert(self, step: RunningStep) -> None:
        """Keep an inner step behind the one around it, also when another one began meanwhile."""
        places = [place for place, one in enumerate(self.running) if one.thread == step.thread]
        self.running.insert(places[-1] + 1 if places else len(self.running), step)


class PlainReporter(_Steps):
    """One line per step that ends, one when a longer step starts, one every half minute while it lasts."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._write = write
        self._origin = clock()
        self._stop = threading.Event()
        self._ticker = threading.Thread(target=self._tick_forever, daemon=True, name="careops-heartbeat")

    def __enter__(self) -> Self:
        """Start the heartbeat."""
        self._ticker.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        """End the heartbeat."""
        self._stop.set()
        self._ticker.join(timeout=1)

    def tick(self) -> None:
        """Write the lines that are due now; called twice a second."""
        with self.lock:
            now = self.clock()
            for step in self.running:
                if step.shown_at is None and now - step.begin >= SHOW_AFTER:
                    step.shown_at = now
                    self._line("start", step.title)
                elif step.shown_at is not None and now - step.shown_at >= HEARTBEAT:
                    step.shown_at = now
                    self._line("...", f"{step.title}: {duration(now - step.begin)} so far{_about(step)}")

    def ended(self, step: RunningStep, word: str, seconds: float) -> None:
        """Write the step's last line."""
        self._line(word, f"{step.title} ({duration(seconds)}){_about(step)}")

    def _line(self, word: str, text: str) -> None:
        self._write(f"[{self.clock() - self._origin:7.1f}s] {word:<6} {text}")

    def _tick_forever(self) -> None:
        while not self._stop.wait(0.5):
            self.tick()


class LiveReporter(_Steps):
    """A live list of what runs, with what ended above it."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        from rich.live import Live

        self._console = console
        self._live = Live(self, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        """Start the display."""
        self._live.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        """End the display and leave the terminal as it was."""
        self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the running steps, outer before inner."""
        from rich.padding import Padding
        from rich.spinner import Spinner
        from rich.text import Text

        with self.lock:
            now = self.clock()
            for step in self.running:
                line = Text.assemble(
                    step.title, (f"  {duration(now - step.begin)}", "dim"), (_about(step), "dim"), overflow="ellipsis"
                )
                line.no_wrap = True
                yield Padding(Spinner("dots", text=line), (0, 0, 0, 2 * step.depth))

    def ended(self, step: RunningStep, word: str, seconds: float) -> None:
        """Print the step's last line above the live list."""
        from rich.text import Text

        mark, style = {"done": ("✓", "green"), "failed": ("✗", "red")}.get(word, ("-", "yellow"))
        indent = "  " * step.depth
        self._console.print(
            Text.assemble(indent, (mark, style), f" {step.title}  ", (f"{duration(seconds)}{_about(step)}", "dim"))
        )


@contextlib.contextmanager
def reporter() -> Generator[Reporter]:
    """Show progress on stderr in the way that suits it, for as long as the block runs."""
    if sys.stderr.isatty():
        from operations.cli.output import messages

        with LiveReporter(messages()) as live:
            yield live
    else:
        with PlainReporter(_write_line) as plain:
            yield plain


def _write_line(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _about(step: RunningStep) -> str:
    return f": {step.text}" if step.text else ""

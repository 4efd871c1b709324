"""What careops says and does about its cache: after `up` by itself, or when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operations.session import Session
    from toolchain.cache import Survey
    from toolchain.progress import Reporter

MIB = 1024**2
WORTH_SAYING_BYTES = 1024 * MIB
"""Less than a gibibyte of what may go is no reason for a hint."""


def tidied(session: Session, *, embedded: bool, reporter: Reporter) -> str:
    """Do what `tidy` does; when that fails, return why: the platform runs all the same."""
    from toolchain.errors import ToolchainError

    try:
        return tidy(session, embedded=embedded, reporter=reporter)
    except (OSError, ToolchainError) as error:
        return f"the cache could not be tidied, and is as it was or smaller: {error}"


def tidy(session: Session, *, embedded: bool, reporter: Reporter) -> str:
    """After `up`: note what this checkout uses, and remove what nobody needs any more.

    Sources and compiled packages go, because every result exists; artifacts and images go that nobody used for 30 days.

    Args:
        session: This invocation.
        embedded: Whether the cluster is the embedded one, whose programs are built too.
        reporter: Shows the work.

    Returns:
        A line about what was saved; empty when there was nothing to remove.
    """
    from operations import toolkit
    from toolchain import builds, cache

    paths = session.paths
    cache.note_use(paths)
    names = toolkit.needed_builds(embedded=embedded)
    with reporter.step("Removing what the cache needs no more"):
        found = cache.survey(paths)
        freed = cache.remove(paths, found)
        if builds.discard_sources(paths, names, environ=session.environ):
            freed += found.sources
    return f"cache: freed {amount(freed)}, {amount(found.size - freed)} stay" if freed else ""


def describe(found: Survey) -> tuple[str, str]:
    """Return what the cache holds, and a hint where much of it could go."""
    may_go = found.removable_size
    text = f"{amount(found.size)}"
    if found.sources:
        text += f", {amount(found.sources)} of it sources and compiled packages, which `up` removes when it has ended"
    if may_go < WORTH_SAYING_BYTES:
        return text, ""
    return (
        f"{text}; {amount(may_go)} were not used for 30 days",
        "`./careops cache prune` removes them; `up` does so too",
    )


def amount(size: int) -> str:
    """Return bytes as people read them."""
    return f"{size / 1024**3:.1f} GiB" if size >= WORTH_SAYING_BYTES else f"{size / MIB:.0f} MiB"


def lines(found: Survey) -> Sequence[str]:
    """Return a plan of removal, a line for each part; images together, because their parts have no names."""
    named = [each for each in found.removable if each.path.parent.name == "artifacts"]
    images = [each for each in found.removable if each.path.parent.name != "artifacts"]
    told = [f"{each.path.name:<48} {amount(each.size)}" for each in sorted(named, key=lambda each: -each.size)]
    if images:
        told.append(f"{'parts of container images: ' + str(len(images)):<48} {amount(sum(one.size for one in images))}")
    return told

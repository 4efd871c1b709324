"""Image definitions: a Containerfile template that our own assembler and any real builder read alike.

The template is Jinja2 with StrictUndefined. The assembler interprets the subset of the language that needs no container
to run in: FROM, ADD (a root file system tar), COPY, ENV, USER, WORKDIR, LABEL, EXPOSE, STOPSIGNAL, ENTRYPOINT and CMD.
Everything else, RUN above all, is refused with its line number: what must be run is run while the root file system is
made.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import jinja2

from toolchain.errors import BuildFailed
from toolchain.images.context import BuildContext, FileMode, entries_for
from toolchain.images.oci import Blob, ImageConfig, ImageRef, OciStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from toolchain.images.layers import Entry

_ONE_WORD = ("USER", "WORKDIR", "STOPSIGNAL")
_PAIRS = ("ENV", "LABEL")
_EXEC_FORM = ("ENTRYPOINT", "CMD")
INSTRUCTIONS = ("FROM", "ADD", "COPY", *_PAIRS, *_ONE_WORD, "EXPOSE", *_EXEC_FORM)


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One parsed instruction.

    Attributes:
        line: Line number of its first line, from 1.
        name: Upper-case keyword.
        arguments: Its words; for ENV and LABEL ``name=value`` pairs.
        flags: ``--name=value`` options of ADD and COPY.
    """

    line: int
    name: str
    arguments: tuple[str, ...]
    flags: Mapping[str, str] = field(default_factory=dict)


def render(template: Path, values: Mapping[str, object]) -> str:
    """Render an image definition.

    Args:
        template: The ``Containerfile.*.j2`` file.
        values: What it may use; a name it uses and that is not here is an error.

    Raises:
        BuildFailed: The template uses an undefined name or is malformed.
    """
    loader = jinja2.FileSystemLoader(template.parent)
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        loader=loader,
        autoescape=False,  # noqa: S701 - a Containerfile is no HTML: escaping would corrupt it
        keep_trailing_newline=True,
    )
    try:
        return environment.get_template(template.name).render(**values)
    except jinja2.TemplateError as error:
        raise BuildFailed(
            what=f"the image definition {template.name} cannot be rendered",
            why=str(error),
            action="give the template every value it uses, spelt the same",
        ) from error


def parse(text: str) -> list[Instruction]:
    """Parse a rendered Containerfile.

    Raises:
        BuildFailed: An instruction is unknown, unsupported or malformed, or FROM is missing, late or repeated.
    """
    instructions = [_instruction(line, statement) for line, statement in _statements(text)]
    froms = [number for number, instruction in enumerate(instructions) if instruction.name == "FROM"]
    if froms != [0]:
        where = instructions[froms[1]].line if len(froms) > 1 else 1
        raise _refused(
            where, "an image definition has exactly one FROM, first", "remove the other stage or add FROM scratch"
        )
    return instructions


def _statements(text: str) -> list[tuple[int, str]]:
    statements: list[tuple[int, str]] = []
    pending, start = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        start = start if pending else number
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        statements.append((start, pending + line))
        pending = ""
    if pending:
        raise _refused(start, "the last line ends with a continuation mark", "remove the backslash")
    return statements


def _instruction(line: int, statement: str) -> Instruction:
    keyword, _, rest = statement.partition(" ")
    name, rest = keyword.upper(), rest.strip()
    if name not in INSTRUCTIONS:
        raise _refused(
            line,
            f"{keyword} is not supported",
            f"use only {', '.join(INSTRUCTIONS)}; run programs while the rootfs is made",
        )
    if name in _EXEC_FORM:
        return Instruction(line=line, name=name, arguments=_exec_form(line, name, rest))
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise _refused(line, f"{name} cannot be split into words: {error}", "close every quote") from error
    flags: dict[str, str] = {}
    if name in ("ADD", "COPY"):
        while words and words[0].startswith("--"):
            key, _, value = words.pop(0)[2:].partition("=")
            if key not in ("chown", "chmod") or not value:
                raise _refused(line, f"{name} --{key} is not supported", "use --chown=uid:gid and --chmod=octal only")
            flags[key] = value
    _check_words(line, name, words)
    return Instruction(line=line, name=name, arguments=tuple(words), flags=flags)


def _exec_form(line: int, name: str, text: str) -> tuple[str, ...]:
    try:
        words = json.loads(text)
    except json.JSONDecodeError as error:
        raise _refused(line, f"{name} is not in exec form: {error}", f'write {name} ["program", "argument"]') from error
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise _refused(line, f"{name} is not a list of strings", f'write {name} ["program", "argument"]')
    return tuple(words)


def _check_words(line: int, name: str, words: list[str]) -> None:
    if name in _PAIRS and (not words or not all(re.fullmatch(r"[^=\s]+=.*", word, re.DOTALL) for word in words)):
        raise _refused(line, f"{name} needs name=value pairs", f'write {name} NAME="value"')
    wanted = {"FROM": 1, "ADD": 2, **dict.fromkeys(_ONE_WORD, 1)}.get(name)
    if wanted is not None and len(words) != wanted:
        raise _refused(line, f"{name} takes {wanted} word(s), not {len(words)}", "quote a word with spaces")
    if name == "COPY" and len(words) < 2:  # noqa: PLR2004 - a source and a destination
        raise _refused(line, "COPY needs a source and a destination", "write COPY source /destination")


def _refused(line: int, why: str, action: str) -> BuildFailed:
    return BuildFailed(what=f"line {line} of the image definition is refused", why=why, action=action)


def assemble(store: OciStore, reference: str, text: str, context: BuildContext) -> ImageRef:
    """Make an image from a rendered Containerfile, without running anything.

    Args:
        store: Where layers, configuration and manifest are kept.
        reference: Name of the new image, ``<domain>/<name>:<tag>``.
        text: The rendered Containerfile.
        context: The files that ADD and COPY may name.

    Returns:
        The image; the same text and context always give the same digest.

    Raises:
        BuildFailed: The text is refused or names a file the context has not.
    """
    with store.held(alone=False):
        return _assemble(store, reference, text, context)


def _assemble(store: OciStore, reference: str, text: str, context: BuildContext) -> ImageRef:
    config, layers = ImageConfig(), list[Blob]()
    for instruction in parse(text):
        match instruction.name:
            case "FROM":
                config, layers = _base(store, instruction)
            case "ADD":
                layers.append(_add_rootfs(store, instruction, context))
            case "COPY":
                layers.append(store.add_layer(_copied(instruction, context)))
            case _:
                config = _CONFIGURE[instruction.name](config, instruction.arguments)
    return store.add_image(reference, config, layers)


def _base(store: OciStore, instruction: Instruction) -> tuple[ImageConfig, list[Blob]]:
    name = instruction.arguments[0]
    if name == "scratch":
        return ImageConfig(), []
    if "@" not in name:
        raise _refused(
            instruction.line, f"the base image {name} is named by a tag alone", f"write FROM {name}@sha256:<its digest>"
        )
    ref = store.resolve(name)
    if ref is None:
        raise _refused(instruction.line, f"the base image {name} is not in the store", "build the base image first")
    inherited = store.config(ref)["config"]
    config = ImageConfig(
        env=dict(pair.split("=", 1) for pair in inherited.get("Env", [])),
        user=inherited.get("User", ""),
        working_dir=inherited.get("WorkingDir", ""),
        labels=inherited.get("Labels", {}),
        ports=tuple(inherited.get("ExposedPorts", {})),
        entrypoint=tuple(inherited.get("Entrypoint", ())),
        cmd=tuple(inherited.get("Cmd", ())),
        stop_signal=inherited.get("StopSignal", ""),
    )
    return config, store.layers(ref)


def _add_rootfs(store: OciStore, instruction: Instruction, context: BuildContext) -> Blob:
    source, destination = instruction.arguments
    if destination != "/" or instruction.flags:
        raise _refused(instruction.line, "ADD unpacks a root file system at / only", "use COPY for anything else")
    path = context.host_file(source)
    if path is None or not source.endswith(".tar"):
        raise _refused(
            instruction.line, f"{source} is not a tar of the build context", f"the context has {context.names()}"
        )
    return store.add_file(path, digest=context.digests.get(source))


def _copied(instruction: Instruction, context: BuildContext) -> list[Entry]:
    *sources, destination = instruction.arguments
    mode = FileMode.parse(instruction.flags)
    if mode is None:
        raise _refused(
            instruction.line, "--chown or --chmod is not numeric", "write --chown=10019:10019 and --chmod=0644"
        )
    if not destination.startswith("/"):
        raise _refused(instruction.line, f"{destination} is not absolute", "start the destination with /")
    if len(sources) > 1 and not destination.endswith("/"):
        raise _refused(
            instruction.line, "several sources need a directory as destination", "end the destination with /"
        )
    entries: list[Entry] = []
    for source in sources:
        found = entries_for(context, PurePosixPath(source), destination, mode)
        if not found:
            raise _refused(instruction.line, f"{source} is not in the context", f"the context has {context.names()}")
        entries.extend(found)
    return entries


_CONFIGURE: dict[str, Callable[[ImageConfig, tuple[str, ...]], ImageConfig]] = {
    "ENV": lambda config, words: replace(config, env={**config.env, **dict(word.split("=", 1) for word in words)}),
    "LABEL": lambda config, words: replace(config, labels={**config.labels, **dict(w.split("=", 1) for w in words)}),
    "EXPOSE": lambda config, words: replace(
        config, ports=(*config.ports, *(port if "/" in port else f"{port}/tcp" for port in words))
    ),
    "USER": lambda config, words: replace(config, user=words[0]),
    "WORKDIR": lambda config, words: replace(config, working_dir=words[0]),
    "STOPSIGNAL": lambda config, words: replace(config, stop_signal=words[0]),
    # As builders do: the arguments of an inherited program mean nothing to another program.
    "ENTRYPOINT": lambda config, words: replace(config, entrypoint=words, cmd=()),
    "CMD": lambda config, words: replace(config, cmd=words),
}

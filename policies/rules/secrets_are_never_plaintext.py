"""No credential stands in clear in a resource or in Pulumi's state."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from policies.pods import POD_KINDS, containers
from policies.resources import CONFIG_MAP, CUSTOM_RESOURCE_DEFINITION, KUBERNETES, SECRET, Resource
from policies.rule import Context, Evidence, Rule
from policies.values import Node, doubt
from policies.verdicts import Finding, NotApplicable, Verdict, conclude

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.verdicts import Observation

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET_NAME: Final = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|(?:^|_)TOKEN(?:_|$)|(?:^|_)PWD(?:_|$)"
    r"|(?:API|ACCESS|PRIVATE|SIGNING|ENCRYPTION)_?KEY"
)
# A name that ends like this points to a credential or describes it, and holds none.
_POINTER: Final = re.compile(
    r"_(?:FILE|FILES|PATH|DIR|NAME|REF|TTL|SECONDS|EXPIRY|URL|URI|ENABLED|LENGTH|POLICY|TYPE|KEY_ID|COUNT|MODE)$"
)
_EMPTY: Final = frozenset({"", "false", "true", "none", "null", "nil", "~", "no", "yes", "0", "1"})
# References, template fields, calls and paths are no literal credentials.
_REFERENCE: Final = re.compile(r"[$%<({\[/]|file:|.*\(")
_ASSIGNMENT: Final = re.compile(r"""["']?([A-Za-z][\w.-]*)["']?[ \t]*[:=](?!=)[ \t]*["']?([^\s"',;}]*)""")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Marker:
    """Something that is a credential whatever it is called; `hint` is cheap to look for and always in a match."""

    what: str
    hint: str
    pattern: re.Pattern[str]


_MARKERS: Final = (
    _Marker(
        what="a private key",
        hint="PRIVATE KEY-----",
        pattern=re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----"),
    ),
    _Marker(
        what="a URL with a password",
        hint="://",
        pattern=re.compile(r"://[^\s/:@'\"]*:(?!\$|%24|\{|<)[^\s/@'\"]+@[^\s/]"),
    ),
    _Marker(what="an AWS access key", hint="AKIA", pattern=re.compile(r"\bAKIA[A-Z0-9]{16}\b")),
    _Marker(what="a temporary AWS access key", hint="ASIA", pattern=re.compile(r"\bASIA[A-Z0-9]{16}\b")),
    _Marker(
        what="a signed token",
        hint="eyJ",
        pattern=re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
    ),
)
# Kubernetes admits only DNS names there, so an unknown one cannot turn out to be a credential.
_IDENTIFIERS: Final = frozenset({"metadata.name", "metadata.namespace"})


def _names_a_credential(name: str) -> bool:
    normal = re.sub(r"[-.]", "_", _CAMEL.sub("_", name)).upper()
    return _SECRET_NAME.search(normal) is not None and _POINTER.search(normal) is None


def _is_literal(value: str) -> bool:
    text = value.strip()
    return text.lower() not in _EMPTY and _REFERENCE.match(text) is None


def _marked(text: Node) -> Iterator[Observation]:
    """Look for what is a credential whatever it is called."""
    for marker in _MARKERS:
        if marker.hint in text.value and marker.pattern.search(text.value):
            yield Finding(path=text.path, message=f"{text.path} holds {marker.what} in clear")


def _everywhere(node: Node) -> Iterator[Observation]:
    for text in node.strings():
        if not text.unknown:
            yield from _marked(text)
        elif text.path not in _IDENTIFIERS:
            yield doubt(text)


def _pod(resource: Resource) -> Iterator[Observation]:
    for container in containers(resource):
        for variable in container.node.at("env").each():
            name, value = variable.at("name"), variable.at("value")
            if name.unknown or value.absent or not _names_a_credential(str(name.value)):
                continue
            # An unknown value of such a variable is a credential too: its name decides, not its content.
            if value.unknown or _is_literal(str(value.value)):
                message = f"{container.title} gets {name.value} as a literal value, readable by all who see the pod"
                yield Finding(path=value.path, message=message)


def _config_map(resource: Resource) -> Iterator[Observation]:
    for section in ("data", "binaryData"):
        for key, value in resource.properties.at(section).entries():
            if value.unknown:  # reported once, with every other unknown text
                continue
            text = str(value.value)
            if section == "binaryData":
                text = _decoded(text)
                yield from _marked(Node(text, value.path))
            if _names_a_credential(key) and _is_literal(text):
                yield Finding(path=value.path, message=f"the ConfigMap holds {key} in clear")
            for name in sorted({name for name, literal in _ASSIGNMENT.findall(text) if _assigned(name, literal)}):
                yield Finding(path=value.path, message=f"the ConfigMap's {key} sets {name} in clear")


def _assigned(name: str, literal: str) -> bool:
    return _names_a_credential(name) and _is_literal(literal)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", errors="replace")
    except (binascii.Error, ValueError):
        return text


def _secret(resource: Resource) -> Iterator[Observation]:
    for section in ("data", "stringData"):
        for key, value in resource.properties.at(section).entries():
            if value.unknown and not value.secret:
                yield doubt(value)
            elif not value.secret and not value.absent:
                message = (
                    f"the Secret's {key or section} is not marked as a Pulumi secret, so the state holds it in clear"
                )
                yield Finding(path=value.path, message=message)


def _observe(resource: Resource) -> Iterator[Observation]:
    if resource.kind == SECRET:
        yield from _secret(resource)
        yield from _everywhere(resource.properties.at("metadata"))
        return
    yield from _everywhere(resource.properties)
    if resource.kind == CONFIG_MAP:
        yield from _config_map(resource)
    elif resource.kind in POD_KINDS:
        yield from _pod(resource)


def check(resource: Resource, _: Context) -> Verdict:
    """Judge every text of a Kubernetes resource.

    Args:
        resource: Any resource.

    Returns:
        Pass when no text is a credential in clear. Messages name the place and never the value.
    """
    if resource.package != KUBERNETES or resource.kind == CUSTOM_RESOURCE_DEFINITION:
        return NotApplicable(reason="holds no configuration of a workload")
    if resource.kind == SECRET and resource.origin == "cluster":
        return NotApplicable(reason="a Secret in the cluster is where a credential belongs")
    return conclude(_observe(resource))


RULE: Final = Rule(
    id="secrets-are-never-plaintext",
    title="No credential stands in clear in a resource or in the state.",
    kinds=None,
    check=check,
    severity="critical",
    controls=("credential-protection",),
    remediation=(
        "Keep the credential in a Secret made inside the cluster and refer to it by secretKeyRef or a mounted file; "
        "wrap a Secret's own content in pulumi.Output.secret. Then rotate what was exposed."
    ),
    evidence=(
        Evidence(source="update", shows="No declared resource carries a credential in clear."),
        Evidence(source="cluster", shows="No object but a Secret carries a credential."),
    ),
    waivable=False,
)

"""Names, and the addresses and numbers that reach a person."""

# ruff: noqa: S608 - identifiers and literals are quoted, the rest is this package's own text
from __future__ import annotations

from typing import TYPE_CHECKING

from operations.anonymise.rules.at import At, CompileError
from operations.anonymise.rules.scope import filled, hexadecimal, key, large, literal, small, trimmed

if TYPE_CHECKING:
    from operations.anonymise.rules.grammar import Rule
    from operations.anonymise.rules.scope import Cell

DOMAIN = "example.com"
"""Reserved by RFC 2606: nobody gets this mail."""

KEPT_LOGINS = ("__system__", "admin", "default", "portaltemplate", "public")
"""Logins that Odoo itself makes, asks for by name, and that name nobody."""

_BLANKS = r"E' \t\r\n'"
_ADDRESS = r"[^[:space:]<>,;:" "''()]+@[^[:space:]<>,;:" "''()]+".replace("'", "''")


def name(rule: Rule, cell: Cell, at: At) -> str:
    """Return a made name; the digest is of the name alone, so it is the same in every table.

    In a unique column eight hexadecimal digits of the digest follow.
    """
    digest = at.scope.digest("name", cell.value)
    person, company = at.run.lists.person(digest), at.run.lists.company(digest)
    whose = rule.names[0]
    if whose == "any":
        partners = at.run.schema.tables.get("res_partner")
        if partners is None or partners.column("is_company") is None:
            whose = "person"
    made = {
        "person": person,
        "company": company,
        "any": f"CASE WHEN {cell.value} IN (SELECT name::text FROM public.res_partner WHERE is_company) "
        f"THEN {company} ELSE {person} END",
    }.get(whose)
    if made is None:
        made = f"CASE WHEN {at.row(_flag(whose, at))} THEN {company} ELSE {person} END"
    if cell.unique:
        made = f"({made})||' '||{hexadecimal(f'substr({digest},25)', 8)}"
    return filled(cell.value, made)


def _flag(column: str, at: At) -> str:
    found = at.table.column(column)
    if found is None or found.type != "boolean":
        raise CompileError(f"{at.table.name}.{column} is not a boolean column, so it cannot tell a company's name")
    return column


def email(_: Rule, cell: Cell, at: At) -> str:
    """Return made addresses.

    An address is folded and trimmed before it is digested, so that a normalised copy gets the same fake. A header such
    as ``"Name" <address>`` keeps its form, with the name made as `name` makes it; a list becomes a list.
    """
    value = cell.value
    bare = f"CASE WHEN strpos({value},'<')>0 THEN split_part(split_part({value},'<',2),'>',1) ELSE {value} END"
    before = trimmed(f"split_part({value},'<',1)", _SHOWN)
    shown = f"CASE WHEN strpos({value},'<')>1 THEN {before} END"
    digest = at.scope.digest_of_bytes("email", _folded_bytes(bare))
    label = at.scope.digest_of_bytes("name", f"nullif({shown},'')")
    one = f"CASE WHEN {label} IS NULL THEN {address(digest)} " + (
        f"ELSE '\"'||{at.run.lists.person(label)}||'\" <'||{address(digest)}||'>' END"
    )
    each = address(f"sha256({key('email')}||{_folded_bytes('found.part[1]')})")
    several = (
        f"coalesce((SELECT string_agg({each},', ' ORDER BY found.place) "
        f"FROM regexp_matches({value},'{_ADDRESS}','g') WITH ORDINALITY found(part,place)),{address(digest)})"
    )
    listed = f"split_part({value},'@',3)<>'' OR strpos({value},';')>0"
    return filled(value, f"CASE WHEN {listed} THEN {several} ELSE {one} END")


_SHOWN = ' "\t\r\n'


def folded(text: str) -> str:
    """Return SQL of an address without blanks around it and without upper case, under any collation."""
    return f'(lower(btrim({text},{_BLANKS}) COLLATE "pg_c_utf8") COLLATE "C")'


def _folded_bytes(text: str) -> str:
    """Return SQL of the bytes of the same."""
    return trimmed(f'lower({text} COLLATE "pg_c_utf8")')


def address(digest: str) -> str:
    """Return SQL of the address of a digest: 64 bits of it, so a million addresses stay apart but in 1 of 10^7 runs."""
    return f"'u'||{hexadecimal(digest, 8)}||'@{DOMAIN}'"


def login(_: Rule, cell: Cell, at: At) -> str:
    """Return a made login; of a login that is an address in lower case, the same as the made address."""
    value = cell.value
    mail, exact = at.scope.digest("email", value), at.scope.digest("login", value)
    kept = ",".join(literal(word) for word in KEPT_LOGINS)
    return (
        f"CASE WHEN {value}='' OR {value} IN ({kept}) THEN {value} "
        f"WHEN strpos({value},'@')>0 AND {value}={folded(value)} THEN {address(mail)} "
        f"ELSE 'u'||{hexadecimal(exact, 8)} END"
    )


_DIAL = {"BE": "32", "CH": "41", "DE": "49", "ES": "34", "FR": "33", "GB": "44", "IT": "39", "NL": "31", "US": "1"}
_AREAS_TEXT = (
    "201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 224 225 228 229 231 234 239 240 248 251 "
    "252 253 254 256 260 262 267 269 270 276 281 301 302 303 304 305 307 308 309 310 312 313 314 315 316 317 318 "
    "319 320"
)
_AREAS = tuple(_AREAS_TEXT.split())

_RANGES = {
    # ARCEP, decision 2012-0856: numbers for works of fiction. The other three blocks are those of generated data
    # (`careops seed`): a made number that is somebody's in the source by chance would be a finding.
    "33": (("1 99 00", "3 53 01", "5 36 49"), "pairs"),
    # Ofcom: telephone numbers for drama use.
    "44": (("20 7946 0", "121 496 0", "113 496 0", "131 496 0", "161 496 0", "29 2018 0", "7700 900"), "three"),
    # Bundesnetzagentur, notice 148/2021: numbers for media productions.
    "49": (("30 23125 ", "69 90009 ", "40 66969 ", "221 4710 ", "89 99998 "), "three"),
    # No range is reserved in the Netherlands: no subscriber's number starts with 0 behind an area code.
    "31": (("20 0", "10 0", "70 0", "30 0", "40 0", "50 0"), "six"),
    # No range is reserved in Spain: numbers that start with 50 are not opened for assignment.
    "34": (("500 ", "501 ", "502 ", "503 "), "six"),
}


def phone(_: Rule, cell: Cell, at: At) -> str:
    """Return a number of a range that nobody is assigned, in the country of the real one.

    The digest is of the number in international form without separators, so that a formatted and a sanitised copy
    agree. Countries without a range here get one of the United States for fiction (555-0100 to 555-0199).
    """
    value = cell.value
    plain = at.scope.let(_without_separators(value))
    dial = _DIAL.get(at.run.country, "1")
    international = _international(plain, dial)
    digest = _phone_digest(cell, at, plain, dial)
    made = " ".join(
        f"WHEN '+{code}' THEN {_number(code, prefixes, form, digest)}" for code, (prefixes, form) in _RANGES.items()
    )
    fiction = f"'+1 '||{_choose(_AREAS, digest, 0)}||' 555 01'||{_padded(digest, 2, 2)}"
    made = f"CASE left({international},3) {made} ELSE {fiction} END"
    return filled(value, f"CASE WHEN {value}={plain} THEN replace({made},' ','') ELSE {made} END")


def _phone_digest(cell: Cell, at: At, plain: str, dial: str) -> str:
    """Return the digest of a number; that of the column it is a copy of where both have the same digits."""
    name = at.original(cell.column)
    if name is None:
        return at.scope.digest("phone", _international(plain, dial))
    original = at.scope.let(_without_separators(at.cell(name).value))
    same = f"{plain}={original}"
    own = at.scope.unless(same).digest("phone", _international(plain, dial))
    return f"(CASE WHEN {same} THEN {at.scope.digest('phone', _international(original, dial))} ELSE {own} END)"


def _without_separators(value: str) -> str:
    """Return SQL of a number without what is written between its digits.

    `translate` would compare each character with each separator; most numbers have one or two kinds, or none.
    """
    plain = value
    for separator in ("' '", "'-'", "'.'", "'('", "')'", "'/'", r"E'\u00a0'", r"E'\t'"):
        plain = f"replace({plain},{separator},'')"
    return f"CASE WHEN {trimmed(value, '+0123456789')}='' THEN {value} ELSE {plain} END"


def _international(plain: str, dial: str) -> str:
    trunk = f"'+{dial}'||substr({plain},2)" if dial != "1" else f"'+1'||{plain}"
    return (
        f"CASE WHEN {plain} LIKE '+%' THEN {plain} WHEN {plain} LIKE '00%' THEN '+'||substr({plain},3) "
        f"WHEN {plain} LIKE '0%' THEN {trunk} ELSE '+{dial}'||{plain} END"
    )


def _number(code: str, prefixes: tuple[str, ...], form: str, digest: str) -> str:
    start = f"'+{code} '||{_choose(prefixes, digest, 0)}"
    two = _padded(digest, 2, 2)
    if form == "pairs":
        return f"{start}||' '||{two}||' '||{_padded(digest, 4, 2)}"
    if form == "three":
        return f"{start}||{_padded(digest, 2, 3)}"
    return f"{start}||{_padded(digest, 2, 3)}||' '||{_padded(digest, 4, 3)}"


def _choose(entries: tuple[str, ...], digest: str, position: int) -> str:
    array = "{" + ",".join(f'"{entry}"' for entry in entries) + "}"
    return f"('{array}'::name[])[1+{small(digest, position)}%{len(entries)}]::text"


def _padded(digest: str, position: int, width: int) -> str:
    return f"lpad(({large(digest, position)}%{10**width})::text,{width},'0')"


def url(_: Rule, cell: Cell, at: At) -> str:
    """Return an address of a reserved domain; one without scheme stays without."""
    host = f"'www.'||{hexadecimal(at.scope.digest('url', cell.value), 8)}||'.{DOMAIN}'"
    return filled(cell.value, f"CASE WHEN strpos({cell.value},'://')>0 THEN 'https://'||{host} ELSE {host} END")


def ip(_: Rule, cell: Cell, at: At) -> str:
    """Return an address for documentation: RFC 5737, or RFC 3849 for IPv6."""
    digest = at.scope.digest("ip", cell.value)
    networks = ("192.0.2.", "198.51.100.", "203.0.113.")
    four = f"{_choose(networks, digest, 0)}||(1+get_byte({digest},2)%254)::text"
    groups = "||':'||".join(f"encode(substr({digest},{place},2),'hex')" for place in (3, 5, 7, 9))
    return filled(cell.value, f"CASE WHEN strpos({cell.value},':')>0 THEN '2001:db8::'||{groups} ELSE {four} END")


_ENDINGS = "|".join(
    (
        "pdf|docx?|dotx?|odt|rtf|txt|md|xlsx?|xlsm|ods|csv|tsv|pptx?|odp|html?|xml|json|ya?ml|log|eml|msg|ics|vcf",
        "png|jpe?g|gif|webp|svg|bmp|tiff?|heic|ico|dcm|mp[34]|m4a|wav|ogg|mov|avi|webm|zip|gz|tgz|tar|7z|rar",
        "css|js|py|p7[ms]|pem|crt|dwg|dxf|stl|ttf|woff2?",
    )
)
"""Endings of file names that say what a file is; what else stands behind a dot may be a name: `letter J.Smith`."""


def filename(_: Rule, cell: Cell, at: At) -> str:
    """Return a made file name with the extension of the real one, when it is one that is known."""
    digest = at.scope.digest("filename", cell.value)
    ending = rf"coalesce(substring(lower({cell.value}) from '\.(?:{_ENDINGS})$'),'')"
    return filled(cell.value, f"'document-'||{hexadecimal(digest, 8)}||{ending}")

"""Functions of the reading session for what no single expression can do: they live in `pg_temp` and end with it.

So nothing is created in the source that a dump could carry along, and a role that may create nothing can still read.
"""

# ruff: noqa: S608 - identifiers and literals are quoted, the rest is this package's own text
from __future__ import annotations

from operations.anonymise.rules.lists import FILLER_BLOCK, FILLER_BLOCKS, FILLER_PERIOD
from operations.anonymise.rules.numbering import NUMBERING
from operations.anonymise.rules.scope import SETTINGS

_WHITE = r"E' \t\r\n\u00a0'"
_SHOWN = r"""\s(?:alt|title|placeholder|content|aria-label|aria-description)\s*=\s*(?:"[^"]*"|''[^'']*'')"""
"""Attributes whose value people read, so that they may name anybody; nothing works worse without one."""
_ADDRESS = r"(?:mailto:|tel:|sms:|[[:alnum:]._+-]+@[[:alnum:]-]+\.)"
_REACHED = rf"""\s[[:alnum:]_:.-]+\s*=\s*(?:"[^"]*{_ADDRESS}[^"]*"|''[^'']*{_ADDRESS}[^'']*'')"""
"""Attributes that hold a way to reach somebody."""
_FILLER = f"""
CREATE OR REPLACE FUNCTION pg_temp.careops_latin(size int, start int) RETURNS text LANGUAGE sql STRICT AS $body$
    SELECT convert_from(substr(
        decode(repeat(encode(f, 'hex'), 1 + size / {FILLER_PERIOD}), 'hex'),
        1 + {FILLER_BLOCK} * (start % {FILLER_BLOCKS}), size), 'UTF8')
    FROM (SELECT current_setting('{SETTINGS}.filler')::bytea f) s
$body$;
CREATE OR REPLACE FUNCTION pg_temp.careops_tag(tag text) RETURNS text LANGUAGE sql STRICT AS $body$
    SELECT regexp_replace(regexp_replace(tag COLLATE "C", '{_SHOWN}', '', 'gi'), '{_REACHED}', '', 'gi')
$body$;
CREATE OR REPLACE FUNCTION pg_temp.careops_xml(value text, start int) RETURNS text LANGUAGE sql STRICT AS $body$
    SELECT string_agg(
        CASE WHEN place > 1 THEN '<' || pg_temp.careops_tag(left(piece, close)) ELSE '' END
        || CASE WHEN btrim(substr(piece, close + 1), {_WHITE}) = '' THEN substr(piece, close + 1)
                ELSE pg_temp.careops_latin(octet_length(substr(piece, close + 1)) + 15 & -16, start + place::int) END,
        '' ORDER BY place)
    FROM (
        SELECT piece, place, CASE WHEN place > 1 THEN strpos(piece, '>') ELSE 0 END AS close
        FROM string_to_table(value COLLATE "C", '<') WITH ORDINALITY pieces(piece, place)
        WHERE place = 1 OR piece ~ '^[/?]?[A-Za-z_][A-Za-z0-9_:.-]*([ /?\t\r\n][^>]*)?>'
    ) cut
$body$;
"""

_SHAPE = """
CREATE OR REPLACE FUNCTION pg_temp.careops_shape(value text, digest bytea) RETURNS text LANGUAGE sql STRICT AS $body$
    SELECT string_agg(
        CASE WHEN sign BETWEEN '0' AND '9' THEN (byte % 10)::text
             WHEN sign BETWEEN 'A' AND 'Z' THEN chr(65 + byte % 26)
             WHEN sign BETWEEN 'a' AND 'z' THEN chr(97 + byte % 26)
             WHEN ascii(sign) > 127 THEN 'x' ELSE sign END, '' ORDER BY place)
    FROM (
        SELECT place, sign, get_byte(digest, (count(*) FILTER (WHERE sign ~ '[0-9A-Za-z]')
                                              OVER (ORDER BY place))::int % 32) AS byte
        FROM (SELECT place, substr(value, place, 1) COLLATE "C" AS sign
              FROM generate_series(1, least(length(value), 256)) place) signs
    ) counted
$body$;
CREATE OR REPLACE FUNCTION pg_temp.careops_digits(digest bytea) RETURNS text LANGUAGE sql STRICT AS $body$
    SELECT translate(encode(digest, 'hex'), 'abcdef', '012345')
$body$;
CREATE OR REPLACE FUNCTION pg_temp.careops_luhn(number text) RETURNS text LANGUAGE sql STRICT AS $body$
    SELECT number || ((10 - sum(CASE WHEN (length(number) - place) % 2 = 0
                                     THEN d * 2 - 9 * (d / 5) ELSE d END) % 10) % 10)::text
    FROM (SELECT place, substr(number, place, 1)::int d FROM generate_series(1, length(number)) place) signs
$body$;
CREATE OR REPLACE FUNCTION pg_temp.careops_account(value text, digest bytea) RETURNS text LANGUAGE plpgsql STRICT
AS $body$
DECLARE
    compact text := upper(translate(value, ' .-', ''));
    bank text; bban text; made text;
BEGIN
    IF compact !~ '^[A-Z]{2}[0-9]{2}[A-Z0-9]{10,30}$' THEN
        RETURN pg_temp.careops_shape(value, digest);
    END IF;
    -- No bank has these codes: nothing of the kind is ever given out, so the account exists nowhere.
    bank := CASE WHEN substr(compact, 5, 4) ~ '^[A-Z]{4}$' THEN 'XXXX'
                 WHEN substr(compact, 5, 1) ~ '[A-Z]' THEN 'X0000' ELSE '0000' END;
    bban := bank || left(pg_temp.careops_digits(digest), length(compact) - 4 - length(bank));
    made := left(compact, 2) || lpad((98 - (replace(bban, 'X', '33') || ascii(compact) - 55
        || ascii(substr(compact, 2)) - 55 || '00')::numeric % 97)::text, 2, '0') || bban;
    RETURN CASE WHEN strpos(value, ' ') > 0 THEN rtrim(regexp_replace(made, '(.{4})', '\\1 ', 'g')) ELSE made END;
END
$body$;
"""

_STATE_NUMBERS = """
CREATE OR REPLACE FUNCTION pg_temp.careops_vat(value text, digest bytea) RETURNS text LANGUAGE plpgsql STRICT
AS $body$
DECLARE
    compact text := upper(translate(value, ' .-', ''));
    code text := left(compact, 2);
    d text := '1' || pg_temp.careops_digits(digest);
    p int := 10; total int := 0;
BEGIN
    CASE
    WHEN compact ~ '^DE[0-9]{9}$' THEN  -- ISO 7064 MOD 11,10
        FOR place IN 1..8 LOOP
            total := (p + substr(d, place, 1)::int) % 10;
            p := (2 * CASE total WHEN 0 THEN 10 ELSE total END) % 11;
        END LOOP;
        RETURN code || left(d, 8) || (11 - p) % 10;
    WHEN compact ~ '^FR[0-9A-Z]{2}[0-9]{9}$' THEN  -- key of a SIREN with a Luhn digit
        d := pg_temp.careops_luhn(left(d, 8));
        RETURN code || lpad(((12 + 3 * (d::int % 97)) % 97)::text, 2, '0') || d;
    WHEN compact ~ '^BE[01][0-9]{9}$' THEN
        RETURN code || '0' || left(d, 7) || lpad((97 - left(d, 7)::int % 97)::text, 2, '0');
    WHEN compact ~ '^NL[0-9]{9}B[0-9]{2}$' THEN  -- the check of 2020: MOD 97-10 over the letters as numbers
        RETURN code || left(d, 9) || 'B' || lpad((98 - ('2321' || left(d, 9) || '1100')::numeric % 97)::text, 2, '0');
    WHEN compact ~ '^ES[0-9A-Z][0-9]{7}[0-9A-Z]$' THEN  -- the letter of a DNI
        RETURN code || left(d, 8) || substr('TRWAGMYFPDXBNJZSQVHLCKE', left(d, 8)::int % 23 + 1, 1);
    WHEN compact ~ '^GB[0-9]{9}$' THEN
        FOR place IN 1..7 LOOP
            total := total + (9 - place) * substr(d, place, 1)::int;
        END LOOP;
        RETURN code || left(d, 7) || lpad((97 - total % 97)::text, 2, '0');
    WHEN compact ~ '^IT[0-9]{11}$' THEN
        RETURN code || pg_temp.careops_luhn(left(d, 10));
    WHEN compact ~ '^[A-Z]{2}' THEN
        RETURN left(value, 2) || pg_temp.careops_shape(substr(value, 3), digest);
    ELSE
        RETURN pg_temp.careops_shape(value, digest);
    END CASE;
END
$body$;
CREATE OR REPLACE FUNCTION pg_temp.careops_ssn(value text, digest bytea) RETURNS text LANGUAGE plpgsql STRICT
AS $body$
DECLARE
    compact text := translate(value, ' .-', '');
    d text := pg_temp.careops_digits(digest);
    made text;
BEGIN
    IF value ~ '^[0-9]{3}-?[0-9]{2}-?[0-9]{4}$' THEN  -- United States: no area 000
        made := '000' || left(d, 6);
        RETURN CASE WHEN strpos(value, '-') > 0
            THEN left(made, 3) || '-' || substr(made, 4, 2) || '-' || substr(made, 6) ELSE made END;
    ELSIF compact ~ '^[12][0-9]{12}([0-9]{2})?$' THEN  -- France: no department 00
        made := (1 + left(d, 1)::int % 2)::text || substr(d, 2, 2)
            || lpad((1 + substr(d, 4, 2)::int % 12)::text, 2, '0') || '00' || substr(d, 6, 6);
        IF length(compact) = 15 THEN
            made := made || lpad((97 - made::bigint % 97)::text, 2, '0');
        END IF;
        RETURN CASE WHEN strpos(value, ' ') > 0
            THEN rtrim(regexp_replace(made, '^(.)(..)(..)(..)(...)(...)', '\\1 \\2 \\3 \\4 \\5 \\6 ')) ELSE made END;
    END IF;
    made := pg_temp.careops_shape(value, digest);
    RETURN regexp_replace(made, '[0-9]{2}', '00');
END
$body$;
"""

_DOCUMENTS = """
CREATE OR REPLACE FUNCTION pg_temp.careops_json_fill(value jsonb, kept text[]) RETURNS jsonb LANGUAGE plpgsql STRICT
AS $body$
BEGIN
    RETURN CASE jsonb_typeof(value)
        WHEN 'object' THEN coalesce((
            SELECT jsonb_object_agg(m.key, CASE WHEN m.key = ANY (kept) THEN m.value
                                           ELSE pg_temp.careops_json_fill(m.value, kept) END)
            FROM jsonb_each(value) m), '{}')
        WHEN 'array' THEN coalesce((
            SELECT jsonb_agg(pg_temp.careops_json_fill(m.value, kept) ORDER BY m.place)
            FROM jsonb_array_elements(value) WITH ORDINALITY m(value, place)), '[]')
        WHEN 'string' THEN to_jsonb(pg_temp.careops_latin(
            octet_length(value #>> '{}') + 15 & -16, octet_length(value #>> '{}')))
        WHEN 'number' THEN '0'::jsonb
        ELSE value END;
END
$body$;
CREATE OR REPLACE FUNCTION pg_temp.careops_json_keep(value jsonb, kept text[]) RETURNS jsonb LANGUAGE plpgsql STRICT
AS $body$
BEGIN
    RETURN CASE jsonb_typeof(value)
        WHEN 'object' THEN coalesce((
            SELECT jsonb_object_agg(m.key, pg_temp.careops_json_keep(m.value, kept))
            FROM jsonb_each(value) m WHERE m.key = ANY (kept)), '{}')
        WHEN 'array' THEN coalesce((
            SELECT jsonb_agg(pg_temp.careops_json_keep(m.value, kept) ORDER BY m.place)
            FROM jsonb_array_elements(value) WITH ORDINALITY m(value, place)), '[]')
        ELSE value END;
END
$body$;
CREATE OR REPLACE FUNCTION pg_temp.careops_property(value jsonb, type text, weeks int, secret bytea) RETURNS jsonb
LANGUAGE plpgsql AS $body$
DECLARE
    held text := value #>> '{}';
    digest bytea;
BEGIN
    IF value IS NULL OR jsonb_typeof(value) IN ('null', 'boolean') THEN
        RETURN value;
    ELSIF type IN ('selection', 'tags', 'many2one', 'many2many') THEN
        RETURN value;
    ELSIF type IN ('integer', 'float', 'monetary') AND jsonb_typeof(value) = 'number' THEN
        digest := sha256(secret || textsend(held));
        RETURN to_jsonb(round(held::numeric * (90 + 20 * (get_byte(digest, 0) << 16 | get_byte(digest, 1) << 8
                              | get_byte(digest, 2)) / 16777216.0) / 100, scale(held::numeric)));
    ELSIF type = 'date' AND held ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' THEN
        RETURN to_jsonb((held::date - 7 * weeks)::text);
    ELSIF type = 'datetime' AND held ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}$' THEN
        RETURN to_jsonb((left(held, 10)::date - 7 * weeks)::text || ' 12:00:00');
    END IF;
    RETURN pg_temp.careops_json_fill(value, '{}');
END
$body$;
CREATE OR REPLACE FUNCTION pg_temp.careops_properties(value jsonb, definition jsonb, weeks int, secret bytea)
RETURNS jsonb LANGUAGE sql AS $body$
    SELECT CASE WHEN value IS NULL THEN NULL ELSE coalesce((
        SELECT jsonb_object_agg(m.key, pg_temp.careops_property(m.value, d.value ->> 'type', weeks, secret))
        FROM jsonb_each(CASE WHEN jsonb_typeof(value) = 'object' THEN value ELSE '{}' END) m
        JOIN jsonb_array_elements(CASE WHEN jsonb_typeof(definition) = 'array' THEN definition ELSE '[]' END) d
          ON d.value ->> 'name' = m.key), '{}') END
$body$;
"""

FUNCTIONS = _FILLER + _SHAPE + _STATE_NUMBERS + _DOCUMENTS + NUMBERING
"""Statements for a session that may make temporary functions, before it reads."""

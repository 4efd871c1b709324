"""What each rule promises, shown by PostgreSQL itself."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

import psycopg
import pytest
from tenacity import Retrying, stop_after_delay, wait_fixed

from operations.anonymise.faults import TransferError
from operations.anonymise.rules.at import CompileError
from operations.anonymise.rules.compile import compile_tables, session_settings
from operations.anonymise.rules.key import RunKey
from operations.anonymise.rules.lists import SMALL_ZIP3, Lists
from operations.anonymise.rules.people import KEPT_LOGINS
from operations.anonymise.sessions import Endpoint, reader
from tests.anonymise.masking import TODAY, Source, catalogue, everything_else, source
from tests.anonymise.support import Server

OTHER = RunKey(secret=bytearray(b"o" * 32))
REPLACING = (
    *("name(person)", "name(company)", "email", "login", "phone", "street", "city", "url", "ip", "iban", "vat", "ssn"),
    *("account-number", "identifier", "uuid", "hash", "filename", "filler", "filler-html", "filler-xml", "token"),
)


@pytest.fixture(scope="module")
def base(server: Server) -> Iterator[Source]:
    with source(server, "rules") as made:
        yield made


@pytest.mark.parametrize("rule", [*REPLACING, "zip3", "document-number"])
def test_null_stays_null_and_the_empty_text_stays_empty(base: Source, rule: str):
    assert base.one(rule, None, "") == [None, ""]


@pytest.mark.parametrize("rule", REPLACING)
def test_a_value_never_comes_through(base: Source, rule: str):
    value = "Wilhelmina Quackenbush <wq@real.org>, 4711"
    (masked,) = base.one(rule, value)
    for part in ("Wilhelmina", "Quackenbush", "real.org", "4711"):
        assert part.lower() not in masked.lower()


@pytest.mark.parametrize("rule", sorted(set(REPLACING) - {"token", "filler-html", "filler-xml"}))
def test_equal_values_get_equal_fakes_in_a_run_and_others_in_the_next(base: Source, rule: str):
    value = "Anna Keller, 12345"
    first, second = base.one(rule, value, value)
    (later,) = base.one(rule, value, key=OTHER)
    assert first == second
    assert first != later


def test_a_person_is_named_the_same_in_every_table(base: Source):
    base.execute(
        "DROP TABLE IF EXISTS a, b",
        "CREATE TABLE a (name text)",
        "CREATE TABLE b (label varchar)",
        "INSERT INTO a VALUES ('Ada Byron')",
        "INSERT INTO b VALUES ('Ada Byron')",
    )
    lines = {"a.name": "name(person)", "b.label": "name(person)", "lone.v": "keep"}
    rows = base.read(catalogue(lines, {"lone": "empty"}))
    assert rows["a"] == rows["b"]


@pytest.mark.parametrize("language", ["en", "fr", "de", "es", "nl"])
def test_names_are_a_first_and_a_last_name_of_the_language(base: Source, language: str):
    lists = Lists(languages=(language,))
    names = base.one("name(person)", *(f"Person {number}" for number in range(50)), languages=(language,))
    first, last = set(lists.of("first")), set(lists.of("last"))
    for name in names:
        assert any(name == f"{one} {name[len(one) + 1 :]}" and name[len(one) + 1 :] in last for one in first), name
    assert len(set(names)) > 40


def test_an_address_is_at_a_reserved_domain_and_its_normalised_copy_agrees(base: Source):
    plain, upper, header = base.one("email", "ann@real.org", "  Ann@Real.ORG ", '"Ann B" <ANN@real.org>')
    assert re.fullmatch(r"u[0-9a-f]{16}@example\.com", plain)
    assert upper == plain == plain.lower()
    assert header.endswith(f" <{plain}>")
    assert header.startswith('"')


def test_the_name_in_a_header_is_the_one_that_the_person_gets(base: Source):
    (header,) = base.one("email", '"Ada Byron" <ada@real.org>')
    (name,) = base.one("name(person)", "Ada Byron")
    assert header.split('"')[1] == name


def test_every_address_of_a_list_is_made_anew(base: Source):
    one, two = base.one("email", "a@real.org", "b@real.org")
    assert base.one("email", "a@real.org; Bee <b@real.org>", "a@real.org, b@real.org") == [f"{one}, {two}"] * 2


def test_a_file_name_keeps_a_known_extension_and_no_name_behind_a_dot(base: Source):
    made = base.one("filename", "Scan.PDF", "letter J.Smith", "see Dr.Okoye", "x.tar.gz", "Jones.xlsx", "none")
    assert [re.sub(r"^document-[0-9a-f]{16}", "", name) for name in made] == [".pdf", "", "", ".gz", ".xlsx", ""]


def test_attributes_of_xml_that_people_read_or_reach_somebody_by_go_and_others_stay(base: Source):
    value = (
        """<t t-name="x.page"><xpath expr="//a[@name='q']/span" position="inside"><img class="o_x" alt="Portrait of Ada"
        title='born 4 October' src="/web/image/1"/><a href="mailto:ada@real.org" t-att-title="o.name">Write</a>"""
        """<a class="b" href='https://x.org/?to=ada@real.org'>Ada</a></xpath></t>"""
    )
    (made,) = base.one("filler-xml", value)
    for part in ("Ada", "ada", "born", "real.org", "mailto", "Write"):
        assert part not in made
    for part in (
        """expr="//a[@name='q']/span\"""",
        'class="o_x"',
        'src="/web/image/1"',
        't-att-title="o.name"',
        "</xpath></t>",
    ):
        assert part in made


def test_logins_that_differ_only_in_case_stay_different(base: Source):
    lower, upper = base.one("login", "bob@real.org", "Bob@real.org")
    (mail,) = base.one("email", "bob@real.org")
    assert lower == mail
    assert upper != lower


def test_logins_that_odoo_asks_for_by_name_stay(base: Source):
    assert base.one("login", *KEPT_LOGINS) == list(KEPT_LOGINS)


def test_a_zip_code_is_cut_and_sparse_ones_are_hidden(base: Source):
    assert base.one("zip3", "02139", "60601-1234", "1012 AB", "sw1a 1aa") == ["021", "606", "10", "SW"]
    assert base.one("zip3", *(f"{prefix}01" for prefix in sorted(SMALL_ZIP3))) == ["000"] * len(SMALL_ZIP3)


def test_only_the_year_of_a_birthday_stays_and_the_oldest_are_one_group(base: Source):
    day = datetime.date
    made = base.one("birthday", day(1980, 7, 9), day(1936, 1, 1), day(1935, 12, 31), day(1901, 5, 5), type_="date")
    assert made == [day(1980, 1, 1), *[day(TODAY.year - 90, 1, 1)] * 3]


def test_a_persons_dates_move_together_by_whole_weeks_into_the_past(base: Source):
    base.execute(
        "DROP TABLE IF EXISTS a, b, person CASCADE",
        "CREATE TABLE person (id int PRIMARY KEY, born date, seen timestamp)",
        "CREATE TABLE a (person_id int REFERENCES person, day date, at timestamptz)",
        "INSERT INTO person SELECT i, date '2020-01-01', timestamp '2020-02-01 10:11:12' FROM generate_series(1, 50) i",
        "INSERT INTO a SELECT i, date '2020-01-11', timestamptz '2020-02-01 10:11:12+00' FROM generate_series(1, 50) i",
        "INSERT INTO a VALUES (NULL, '2020-01-11', NULL)",
    )
    lines = {
        "person.id": "keep",
        "person.born": "shift-date(id)",
        "person.seen": "shift-date(id)",
        "a.person_id": "keep",
        "a.day": "shift-date(person_id)",
        "a.at": "shift-date(person_id)",
        "lone.v": "keep",
    }
    rows = base.read(catalogue(lines, {"lone": "empty"}))
    people = {row[0]: row[1:] for row in rows["person"]}
    moves = set()
    for person, day, at in rows["a"][:-1]:
        born, seen = people[person]
        assert (day - born).days == 10, "an interval across tables stays exactly"
        assert at.date() == seen.date()
        assert (seen.date() - born).days == 31
        assert seen.time() != datetime.time(10, 11, 12), "a time of day is made up"
        assert born < datetime.date(2020, 1, 1)
        assert born.weekday() == datetime.date(2020, 1, 1).weekday()
        moves.add(born)
    assert len(moves) > 10
    assert rows["a"][-1][1] < datetime.date(2020, 1, 11)
    assert rows["a"][-1][2] is None


@pytest.mark.parametrize("type_", ["numeric", "double precision"])
def test_a_jittered_wage_is_compatible_with_every_round_wage_near_it(base: Source, type_: str):
    wages = [*range(2000, 9000, 50), 2000]
    made = [float(amount) for amount in base.one("jitter", *(f"{wage}.00" for wage in wages), type_=type_)]
    assert all(0.9 <= amount / wage <= 1.1 for amount, wage in zip(made, wages, strict=True))
    assert made[-1] == made[0]
    assert base.one("jitter", 0, type_=type_) == [0]
    told = [amount for amount in made if any(abs(amount * 100 / percent % 50) < 0.01 for percent in range(90, 111))]
    assert len(told) < len(made) / 10, "a whole percentage of a round wage"


def test_a_journal_entry_stays_balanced_exactly(base: Source):
    base.execute(
        "DROP TABLE IF EXISTS a, b",
        "CREATE TABLE a (move_id int, debit numeric, credit numeric)",
        "INSERT INTO a SELECT m, d, 0 FROM generate_series(1, 30) m, unnest(ARRAY[0.01, 33.33, 66.67]) d",
        "INSERT INTO a SELECT m, 0, 100.01 FROM generate_series(1, 30) m",
    )
    lines = {**everything_else(base), "a.debit": "jitter(20,move_id)", "a.credit": "jitter(20,move_id)"}
    lines["lone.v"] = "keep"
    sums: dict[int, list] = {}
    for move, debit, credit in base.read(catalogue(lines, {"lone": "empty"}))["a"]:
        held = sums.setdefault(move, [0, 0])
        held[0] += debit
        held[1] += credit
    assert all(debit == credit for debit, credit in sums.values())
    assert len({debit for debit, _ in sums.values()}) > 5


def test_a_copy_of_another_tables_column_gets_that_columns_fake(base: Source):
    base.execute(
        "DROP TABLE IF EXISTS a, b, p CASCADE",
        "CREATE TABLE p (id int PRIMARY KEY, name text, is_company boolean)",
        "CREATE TABLE a (p_id int REFERENCES p, name varchar)",
        "INSERT INTO p VALUES (1, 'Acme', true), (2, 'Ada', false)",
        "INSERT INTO a VALUES (1, 'an old name'), (2, NULL), (NULL, 'Ada')",
    )
    lines = {"p.id": "keep", "p.is_company": "keep", "p.name": "name(is_company)", "a.p_id": "keep", "lone.v": "keep"}
    lines |= everything_else(base) | lines | {"a.name": "same-as(p.name via p_id)"}
    rows = base.read(catalogue(lines, {"lone": "empty"}))
    company, person = (row[1] for row in rows["p"])
    assert [row[1] for row in rows["a"]] == [company, person, None]
    assert person != company


def test_what_a_module_ships_stays_and_what_people_make_does_not(base: Source):
    base.execute(
        "DROP TABLE IF EXISTS a, b, p CASCADE",
        "CREATE TABLE ir_module_module (name text, state text)",
        "CREATE TABLE ir_model_data (module text, model text, res_id int)",
        "CREATE TABLE x_doc (id int, write_uid int, name text)",
        "INSERT INTO ir_module_module VALUES ('base', 'installed'), ('gone', 'uninstalled')",
        "INSERT INTO ir_model_data VALUES ('base','x.doc',1), ('base','x.doc',2)",
        "INSERT INTO ir_model_data VALUES ('gone','x.doc',3), ('__export__','x.doc',4)",
        "INSERT INTO x_doc SELECT i, CASE i WHEN 2 THEN 7 ELSE 1 END, 'Shipped' FROM generate_series(1, 5) i",
    )
    lines = {**everything_else(base), "x_doc.name": "shipped(filler)", "lone.v": "keep"}
    rows = base.read(catalogue(lines, {"lone": "empty"}))["x_doc"]
    base.execute("DROP TABLE ir_module_module, ir_model_data, x_doc")
    assert [row[2] == "Shipped" for row in rows] == [True, False, False, False, False]


def test_a_token_is_new_for_every_row(base: Source):
    made = base.one("token", *["same"] * 20)
    assert len({*made, "same"}) == 21


def test_a_unique_column_stays_unique(base: Source):
    base.execute("DROP TABLE IF EXISTS a, b, u", "CREATE TABLE u (name text UNIQUE)")
    base.execute("INSERT INTO u SELECT 'Company ' || i FROM generate_series(1, 20000) i")
    lines = {**everything_else(base), "u.name": "name(company)", "lone.v": "keep"}
    names = [row[0] for row in base.read(catalogue(lines, {"lone": "empty"}), languages=("en",))["u"]]
    base.execute("DROP TABLE u")
    assert len(set(names)) == 20000


def test_a_text_never_gets_longer_than_its_column(base: Source):
    for rule in ("street", "filler", "name(company)", "choice(nineteen-characters,twenty-one-characters)"):
        assert all(len(text) <= 10 for text in base.one(rule, *"abcdefghij", type_="varchar(10)"))


def test_a_unique_column_too_short_for_its_rule_is_refused(base: Source):
    base.execute("DROP TABLE IF EXISTS a, b, u", "CREATE TABLE u (mail varchar(20) UNIQUE)")
    lines = catalogue({**everything_else(base), "u.mail": "email", "lone.v": "keep"})
    with pytest.raises(CompileError, match=r"u\.mail is unique and holds 20 characters; email needs 29"):
        compile_tables(base.run(lines))
    base.execute("DROP TABLE u")


def test_odd_tables_are_read(base: Source):
    base.execute(
        "CREATE COLLATION IF NOT EXISTS blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
        'CREATE TABLE "Odd ""Table""" ("Name, ""full""" text COLLATE blind, gone int, twice text GENERATED ALWAYS AS '
        '(\'x\') STORED, "mail" citext_like, PRIMARY KEY ("Name, ""full"""))'.replace(
            "citext_like", 'text COLLATE "C"'
        ),
        'ALTER TABLE "Odd ""Table""" DROP COLUMN gone',
        'INSERT INTO "Odd ""Table""" VALUES (\'Ädä <Bÿron>\', DEFAULT, \'X@Y.org\')',
    )
    name = 'Odd "Table"'
    lines = {**everything_else(base), f'{name}.Name, "full"': "email", f"{name}.mail": "email", "lone.v": "keep"}
    ((full, mail),) = base.read(catalogue(lines, {"lone": "empty"}))[name]
    base.execute('DROP TABLE "Odd ""Table"""')
    assert "Ädä" not in full
    assert mail.endswith("@example.com")


def test_the_key_reaches_neither_a_statement_nor_the_servers_log(base: Source):
    run = base.run(catalogue({**everything_else(base), "lone.v": "keep"}))
    secrets = session_settings(base.key, run, TODAY)
    with reader(Endpoint(conninfo=base.server.conninfo(base.database)), secrets) as session:
        with base.server.connect() as other:
            texts = [row[0] for row in other.execute("SELECT query FROM pg_stat_activity")]
        with pytest.raises(psycopg.Error):
            session.execute("SELECT 'Byron-in-an-error'::int")
    log = base.server.run("psql", "-XAtc", "SELECT pg_read_file('/tmp/log')", "postgres")
    for value in (value for name, value in secrets.items() if ".key_" in name):
        assert not any(value[2:] in text for text in texts)
        assert value[2:] not in log
    assert "Byron-in-an-error" not in log
    assert repr(base.key).count("k") < 5, "a key shows nothing of itself"


def test_a_server_that_would_log_values_is_refused_and_one_that_would_not_is_not(base: Source):
    base.execute("CREATE ROLE plain LOGIN", f"GRANT TEMP ON DATABASE {base.database} TO plain")
    endpoint = Endpoint(conninfo=base.server.conninfo(base.database).replace("user=postgres", "user=plain"))
    with pytest.raises(TransferError, match="log_min_messages is warning"):
        reader(endpoint, {})
    for setting in ("log_min_messages = fatal", "log_min_error_statement = panic"):
        base.execute(f"ALTER ROLE plain SET {setting}")
    with reader(endpoint, {"careops_mask.filler": "Latin"}) as session:
        assert session.execute("SELECT pg_temp.careops_latin(5, 0)").fetchone() == ("Latin",)
    # A server drops a session's temporary functions only after the client has gone.
    for attempt in Retrying(stop=stop_after_delay(30), wait=wait_fixed(0.2), reraise=True):
        with attempt:
            base.execute(f"REVOKE ALL ON DATABASE {base.database} FROM plain", "DROP ROLE plain")


COPIES = {
    "name(person)": ("name", "complete_name", ("Ada Byron", "Ada Byron"), ("Ada Byron", "Byron, Ada"), ("Ada", None)),
    "email": (
        *("email", "email_normalized", ("ann@real.org", "ann@real.org"), ("Ann B <Ann@real.org>", "ann@real.org")),
        *((None, "ann@real.org"), ("ann@real.org", ""), ("a@real.org, b@real.org", "a@real.org")),
    ),
    "phone": (
        *("phone", "phone_sanitized", ("+1 212 555 9999", "+12125559999"), ("(212) 555-9999", "+12125559999")),
        *(("+1 212 555 9999", "+33612345678"), ("+1 212 555 9999", None), (None, "+12125559999"), ("", "+12125559999")),
    ),
    "iban": ("acc_number", "sanitized_acc_number", ("DE89 3704 0044", "DE8937040044"), ("77-4711", "77-4711")),
}


@pytest.mark.parametrize("rule", sorted(COPIES))
def test_a_stored_copy_is_masked_as_it_would_be_alone(base: Source, server: Server, rule: str):
    text, copy, *rows = COPIES[rule]
    alone = [base.one(rule, *column) for column in zip(*rows, strict=True)]
    with source(server, "copies", base.key) as both:
        both.execute(f"CREATE TABLE copies ({text} text, {copy} text)")
        with server.connect(both.database) as connection:
            for row in rows:
                connection.execute("INSERT INTO copies VALUES (%s, %s)", row)
        together = both.read(catalogue({f"copies.{text}": rule, f"copies.{copy}": rule}))["copies"]
    assert together == list(zip(*alone, strict=True))


@pytest.mark.parametrize("value", ["à", "\u00a0à", "à\u00a0", "\u0420", "\u3000", "x\u00a0"])
def test_a_text_is_blank_by_its_characters_and_not_by_parts_of_them(base: Source, value: str):
    """U+00A0 is C2 A0 in UTF-8, and the last byte of à is A0."""
    assert base.one("filler-html", f"<b>{value}</b>") != [f"<b>{value}</b>"]
    assert base.one("filler-html", "<b> \u00a0 </b>") == ["<b> \u00a0 </b>"]

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest

from offloader import psv
from offloader.errors import ConfigError
from offloader.testing import context
from offloader_policies import countries, tables
from offloader_policies.options import ResidencyOptions
from offloader_policies.plugin import POLICY, open_policy


def changed(texts: Mapping[str, str], name: str, old: str, new: str) -> dict[str, str]:
    assert old in texts[name]
    return {**texts, name: texts[name].replace(old, new, 1)}


def test_shipped_tables_are_sound() -> None:
    """The tables of the package load, with all countries of ISO 3166-1 and every rule."""
    loaded = tables.load()

    assert len(loaded.atlas.countries) == 249
    assert len(loaded.rules) == 73
    assert {"IS", "LI", "NO", "DE"} <= loaded.atlas.resolve(("@EEA",), date(2026, 1, 1))
    assert {"CH", "GB"}.isdisjoint(loaded.atlas.resolve(("@EEA",), None))
    assert {"HK", "MO"} <= loaded.atlas.resolve(("@US_CONCERN",), date(2026, 1, 1))
    assert loaded.rules[0].origin == "tables/rules.psv:2"
    assert loaded.rules[0].review == date(2027, 6, 30)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("rules", "|COND||@EEA", "|MAYBE||@EEA", "rules.psv line 2, column mode: 'MAYBE' is none of"),
        ("rules", "@EU_ADEQ_FULL", "@NOWHERE", "rules.psv line 2, column allow: unknown group '@NOWHERE'"),
        ("rules", "|HARD|DE|", "|HARD|QQ|", "rules.psv line 9, column must_in: unknown country or subdivision 'QQ'"),
        ("rules", "|HARD|DE|", "|HARD||", "rules.psv line 9, column must_in: must not be empty"),
        ("rules", "|2027-06|H", "|soon|H", "rules.psv line 2, column review: 'soon' is no date"),
        ("rules", "|2027-06|H", "|2027-13|H", "rules.psv line 2, column review: '2027-13' is no date"),
        ("rules", "EU-02|", "EU-01|", "rules.psv line 3, column id: 'EU-01' is no code, or stands here twice"),
        ("rules", "EU-01|EU|", "EU-01|ZZ|", "rules.psv line 2, column jur: unknown country or subdivision 'ZZ'"),
        ("rules", "EU-01|EU|", "EU-01|", "rules.psv line 2, column valid_to: 15 cells, 16 are expected"),
        ("rules", "EU-01|EU|", "EU-01|eu|", "column jur: unknown country or subdivision 'eu'; write @EU27 or @EEA"),
        ("rules", "DE-01|DE|", "DE-01|Germany|", "column jur: unknown country or subdivision 'Germany'; write DE"),
        ("rules", "DE-01|DE|", "DE-01|@EEA|", "rules.psv line 8, column jur: unknown jurisdiction '@EEA'"),
        ("rules", "|HARD|DE|", "|HARD|de|", "column must_in: unknown country or subdivision 'de'; write DE"),
        ("rules", "@EU_ADEQ_FULL", "EEA", "column allow: unknown country or subdivision 'EEA'; write @EEA"),
        ("rules", "|2027-06|H", "|2027-06|X", "rules.psv line 2, column conf: 'X' is none of H, L, M"),
        ("rules", "|2027-06|H||", "|2027-06|H|soon|", "rules.psv line 2, column valid_from: 'soon' is no date"),
        ("rules", "|2027-06|H||", "|2027-06|H|2027-01-02|2027-01-01", "valid_to: the rule ends before it begins"),
        (
            "rules",
            "residence establishment",
            "residence marriage",
            "line 2, column by: 'marriage' is none of residence",
        ),
        ("retention", "NL-R1|NL", "NL-R1|nl", "retention.psv line 2, column jur: unknown country or subdivision 'nl'"),
        ("retention", "NL-R1|", "NL-R2|", "retention.psv line 3, column id: 'NL-R2' is no code, or stands here twice"),
        (
            "retention",
            "|min|P7Y",
            "|least|P7Y",
            "retention.psv line 2, column kind: 'least' is none of exact, max, min",
        ),
        ("retention", "|min|P7Y", "|min|7 years", "column period: '7 years' is no duration in years"),
        ("retention", "|min|P7Y", "|min|", "retention.psv line 2, column period: must not be empty"),
        ("retention", "|max|P28D", "|max|open", "retention.psv line 6, column period: only a minimum can be open"),
        ("retention", "|fy_end|AWR", "||AWR", "retention.psv line 2, column start: must not be empty"),
        ("retention", "tax_books invoices contracts", "", "retention.psv line 2, column doc_type: must not be empty"),
        ("retention", "tax_books invoices contracts", "papers", "column category: no row for papers"),
        ("categories", "kept_as|", "kept_in|", "categories.psv line 1, column kept_as: the column is missing"),
        ("categories", "|medical_file health_record|", "|x_rays|", "column kept_as: no duty is about x_rays"),
        ("rules", "|in force|", "|maybe|", "rules.psv line 2, column status: 'maybe' is none of"),
        ("rules", "||3|GDPR", "||9|GDPR", "rules.psv line 2, column strict: 9 is not between 0 and 5"),
        ("rules", "||3|GDPR", "||x|GDPR", "rules.psv line 2, column strict: 'x' is no whole number"),
        ("rules", "|strict|", "|stern|", "rules.psv line 1, column strict: the column is missing"),
        ("country_groups", "AT BE", "AT XX", "country_groups.psv line 2, column members: unknown country"),
        (
            "country_groups",
            "EU27|AT BE",
            "EU27|@EEA AT BE",
            "country_groups.psv line 2, column members: the group EU27",
        ),
        ("country_groups", "2020-02-01", "2020-02-31", "line 2, column valid_from: '2020-02-31' is no date"),
        ("country_groups", "EEA|@EU27", "EWR|@EU27", "country_groups.psv"),
        ("country_groups", "EEA|@EU27", "EU27|@EU27", "column group: 'EU27' stands here twice"),
        ("countries", "AE|ARE", "ae|ARE", "countries.psv line 3, column code: 'ae' is no code"),
        ("countries", "Andorra|", "Andorra|Germany;", "already stands for AD"),
        ("subdivisions", "CA-AB", "QQ-AB", "subdivisions.psv line 2, column code: 'QQ-AB' is no code"),
        ("subdivisions", "British Columbia", "AB", "column code: 'ab' already stands for CA-BC"),
        ("categories", "personal_info", "nonsense", "categories.psv line 2, column implies: no rule and no row"),
        ("volume_tiers", "CN-02", "CN-99", "volume_tiers.psv line 2, column rule: 'CN-99' is none of"),
    ],
)
def test_a_bad_cell_is_named(texts: Mapping[str, str], name: str, old: str, new: str, message: str) -> None:
    """A bad table is refused by an error that names file, line and column."""
    with pytest.raises(ConfigError) as caught:
        tables.load(changed(texts, name, old, new))

    assert message in str(caught.value)


def test_law_above_countries_needs_its_members(texts: Mapping[str, str]) -> None:
    """Without the group whose members European law binds, nothing is decided."""
    with pytest.raises(ConfigError, match="no EEA, whose members EU law binds"):
        tables.load({**texts, "country_groups": texts["country_groups"].replace("EEA", "EWR")})


@pytest.mark.parametrize(
    ("review", "day"),
    [("2027-06-15", date(2027, 6, 15)), ("2027-12", date(2027, 12, 31)), ("2027", date(2027, 12, 31))],
)
def test_a_review_date_may_lack_its_day(texts: Mapping[str, str], review: str, day: date) -> None:
    """A month or a year means its last day."""
    loaded = tables.load(changed(texts, "rules", "|2027-06|H", f"|{review}|H"))

    assert loaded.rules[0].review == day


@pytest.mark.parametrize(
    "text",
    ["de", "DE", "deu", "Germany", " Deutschland ", "DEUTSCHLAND", "duitsland", "Allemagne", "ＤＥ", "D\u0045\u202e"],
)
def test_spellings_of_one_country(text: str) -> None:
    """Codes and names in several languages and spellings mean the same country."""
    assert countries.find(text, tables.load().country_names) == "DE"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Nederland", "NL"),
        ("The Netherlands", "NL"),
        ("Россия", "RU"),
        ("中国", "CN"),
        ("UK", "GB"),
        ("U.S.A.", "US"),
        ("Österreich", "AT"),
        ("Osterreich", "AT"),
        ("Cote d'Ivoire", "CI"),
        ("Hong Kong", "HK"),
        ("Türkei", "TR"),
    ],
)
def test_names_of_other_countries(text: str, code: str) -> None:
    """English, Dutch and native names are known, with and without accents."""
    assert countries.find(text, tables.load().country_names) == code


@pytest.mark.parametrize(
    "text", ["", " ", "Wakanda", "ZZ", "EU", "Korea", "Congo", "D E", "\0", "DE" + " " * 100, "DE, FR", "%"]
)
def test_what_is_no_country(text: str) -> None:
    """An unknown, ambiguous, empty or endless text is no country."""
    assert countries.find(text, tables.load().country_names) is None


def test_every_country_is_found_by_its_codes_and_name(texts: Mapping[str, str]) -> None:
    """Each country of the table is found by alpha-2, alpha-3 and English name."""
    known = tables.load().country_names

    for row in psv.rows("countries.psv", texts["countries"], ()):
        for column in ("code", "alpha3", "name"):
            assert countries.find(row.text(column), known) == row.text("code")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"categories": {"default": ["personnel"]}}, "categories.default: 'personnel'"),
        ({"categories": {"by_kind": {"Attachment": ["x"]}}}, "categories.by_kind.Attachment: 'x'"),
        ({"categories": {"by_parent": {"Case": ["x"]}}}, "categories.by_parent.Case: 'x'"),
        ({"exclude_rules": {"EU-99": "no"}}, "exclude_rules: 'EU-99'"),
        ({"allow_extensions": ["EU-99"]}, "allow_extensions: 'EU-99'"),
        ({"treat_volume_rules_as": "lenient"}, "treat_volume_rules_as: 'lenient'"),
    ],
)
def test_an_option_with_an_unknown_word_is_refused(options: dict[str, object], message: str) -> None:
    """An option that names what no table knows is refused when the policy opens, by name."""
    with pytest.raises(ConfigError) as caught:
        POLICY.open(POLICY.options.model_validate(options), context(Path()))

    assert message in str(caught.value)


BASIS: dict[str, object] = {
    "id": "scc-1",
    "kind": "scc",
    "rules": ["EU-01"],
    "destinations": ["US"],
    "valid_from": "2026-01-01",
    "valid_to": "2027-01-01",
    "owner": "dpo",
}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "derogation_art49"},
        {"rules": []},
        {"destinations": ["*"]},
        {"destinations": []},
        {"valid_to": "2025-01-01"},
        {"owner": ""},
    ],
)
def test_a_transfer_basis_must_be_whole(change: dict[str, object]) -> None:
    """A basis without rules, destinations, owner or time, or of an unfit kind, is refused."""
    with pytest.raises(ValueError, match="transfer_bases"):
        POLICY.options.model_validate({"transfer_bases": [{**BASIS, **change}]})


@pytest.mark.parametrize("change", [{"destinations": ["QQ"]}, {"rules": ["EU-99"]}, {"jurisdictions": ["QQ"]}])
def test_a_transfer_basis_must_name_known_things(change: dict[str, object]) -> None:
    """A basis for an unknown place, rule or jurisdiction is refused when the policy opens."""
    options = POLICY.options.model_validate({"transfer_bases": [{**BASIS, **change}]})

    with pytest.raises(ConfigError, match=r"transfer_bases\[0\]"):
        POLICY.open(options, context(Path()))


def test_fingerprint_covers_options_and_tables(texts: Mapping[str, str]) -> None:
    """The fingerprint changes with an option and with a table, and with nothing else."""
    options = ResidencyOptions()
    base = open_policy(ResidencyOptions()).fingerprint

    assert open_policy(options, texts).fingerprint == base
    assert open_policy(ResidencyOptions(min_bytes=1)).fingerprint != base
    assert open_policy(options, changed(texts, "country_groups", "IM JE NZ UY|", "IM JE NZ|")).fingerprint != base

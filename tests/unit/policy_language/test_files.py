"""Policy files: what is wrong is named with file, line and key; layers merge, and every value knows its place."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from offloader.errors import ConfigError
from offloader.ports import Ends
from offloader_policies.language.layers import Book, load
from offloader_policies.language.model import json_schema
from offloader_policies.language.policy import FilePolicy
from tests.unit.policy_language.conftest import ALL, NOW, STORES, Open, Write, document

EXAMPLE = Path(__file__).resolve().parents[3] / "docs/examples/policy.yaml"
CLAUSE = "  - {id: a, select: {everything: true}, then: move"


@pytest.mark.parametrize(
    ("text", "say"),
    [
        (
            "policy: x\nrules:\n  - {id: R, jur: Niederlande, category: any, mode: FREE, cite: c, review: 2030}\n",
            "policy.yaml:3: rules[0].jur: unknown country or subdivision 'Niederlande'; write NL",
        ),
        ("policy: x\nclause: []\n", "policy.yaml:2: clause: unknown key"),
        ("clauses: []\n", "policy.yaml:1: policy: is missing"),
        ("policy: a b\n", "policy.yaml:1: policy: is no name: begin with a letter"),
        ("policy: x\nversion: 1.10\n", 'policy.yaml:2: version: put the version in quotation marks: "1.1"'),
        (f"policy: x\nclauses:\n{CLAUSE}, colour: red}}\n", "policy.yaml:3: clauses[0].colour: unknown key"),
        (f"policy: x\nclauses:\n{CLAUSE}}}\n{CLAUSE}}}\n", "policy.yaml:4: clauses[1].id: 'a' stands here twice"),
        ("policy: x\nclauses:\n  - {select: {}}\n", "policy.yaml:3: clauses[0]: needs `id:` with a name"),
        ("policy: x\nclauses:\n  - {id: a, select: {}, then: move}\n", "everything: true"),
        ("policy: x\nclauses:\n  - {id: a, then: move}\n", "policy.yaml:3: clauses[0].select: is missing"),
        ("policy: x\nclauses:\n  - {id: a, select: {everything: true, kinds: F}, then: move}\n", "stands alone"),
        ("policy: x\nclauses:\n  - {id: a, select: {kinds: F, age_of: created}, then: move}\n", "needs `min_age`"),
        ("policy: x\nclauses:\n  - {id: a, select: {kinds: F}, then: keep}\n", "needs a `reason`"),
        (
            "policy: x\nclauses:\n  - id: a\n    select:\n      min_age: 2 years\n    then: move\n",
            "policy.yaml:5: clauses[0].select.min_age: '2 years' is no period; write P2Y",
        ),
        ("policy: x\nclauses:\n  - {id: a, select: {extensions: .pdf}, then: move}\n", "without its dot"),
        ("policy: x\nclauses:\n  - {id: a, select: {mime: pdf}, then: move}\n", "a media type such as"),
        (
            "policy: x\nclauses:\n  - id: a\n    select: {when: document.size}\n    then: move\n",
            "policy.yaml:4: clauses[0].select.when: gives INT",
        ),
        (
            f"policy: x\nclauses:\n{CLAUSE}, categories: [bills]}}\n",
            "clauses[0].categories: 'bills' is no category; there are: ",
        ),
        (
            f"policy: x\nclauses:\n{CLAUSE}, retention: [XX-R9]}}\n",
            "clauses[0].retention[0]: 'XX-R9' is no retention duty",
        ),
        (f"policy: x\nclauses:\n{CLAUSE}, retention: [{{id: o, from: doc_date}}]}}\n", "one of the table only its id"),
        ("policy: x\napprovals: {people: true}\n", "approvals.people: "),
        ("policy: x\napproval: {people: 2}\n", "policy.yaml:2: approval: unknown key; did you mean `approvals`?"),
        ("policy: x\nzzz: 1\n", "policy.yaml:2: zzz: unknown key; `offloader policy schema` lists"),
        (
            "policy: x\nclauses:\n  - {id: a, selct: {everything: true}, then: move}\n",
            "policy.yaml:3: clauses[0].selct: unknown key; did you mean `select`?",
        ),
        ("policy: x\napprovals: {people: -1}\n", "approvals.people: must be greater than or equal to 0"),
        ("policy: x\napprovals: {preparer: 'no'}\n", "policy.yaml:2: approvals.preparer: must be true or false"),
        (
            "policy: x\nresidency: {exclude_rules: {EU-99: x}}\n",
            "policy.yaml:2: residency.exclude_rules: 'EU-99' is none of",
        ),
        (
            (
                "policy: x\nresidency:\n  transfer_bases:\n"
                "    - {id: b, kind: scc, rules: [EU-01], destinations: [Germany], owner: me,\n"
                "       valid_from: 2026-01-01, valid_to: 2026-02-01}\n"
            ),
            (
                "policy.yaml:4: residency.transfer_bases[0].destinations: "
                "unknown country or subdivision 'Germany'; write DE"
            ),
        ),
        (
            "policy: x\ngroups:\n  - {id: G, members: [de]}\n",
            "policy.yaml:3: members: unknown country or subdivision 'de'; write DE",
        ),
        (
            "policy: x\ngroups:\n  - {id: EEA, members: [DE]}\n",
            "policy.yaml:3: groups[0].id: 'EEA' is a group of the table",
        ),
        (
            (
                "policy: x\nrules:\n"
                "  - {id: R, jur: NL, category: any, mode: HARD, must_in: [Nederland], cite: c, review: 2030}\n"
            ),
            "policy.yaml:3: must_in: unknown country or subdivision 'Nederland'; write NL",
        ),
        (
            "policy: x\nrules:\n  - {id: R, jur: NL, category: any, mode: HARD, cite: c, review: 2030}\n",
            "policy.yaml:3: must_in: must not be empty",
        ),
        (
            "policy: x\nrules:\n  - {id: EU-01, jur: NL, category: any, mode: FREE, cite: c, review: 2030}\n",
            "policy.yaml:3: rules[0].id: 'EU-01' is a rule of the table",
        ),
        (
            "policy: x\ntests:\n  - {name: t, given: {stores: {a: [Hong Kong]}}, expect: {verdict: MOVE}}\n",
            "tests[0].given: unknown country or subdivision 'Hong Kong'; write HK",
        ),
        ("policy: x\ntests:\n  - {name: t, given: {}, expect: {}}\n", "name at least a `verdict`"),
        ("policy: x\nextends: {a: b}\n", "policy.yaml:2: extends: a list of layers"),
        ("policy: x\nextends: ['']\n", "policy.yaml:2: extends: a list of layers"),
        ("policy: x\nextends: [1]\n", "policy.yaml:2: extends: a list of layers"),
        ("policy: x\nremoves: {things: {a: b}}\n", "policy.yaml:2: removes.things: unknown key"),
        ("policy: x\nremoves: {clauses: [a]}\n", "policy.yaml:2: removes.clauses: "),
        ("policy: 1\n", "policy.yaml:1: policy: must be text; put it in quotation marks"),
        (f"policy: x\nclauses:\n{CLAUSE}}}\n{CLAUSE}}}\n", "stands here twice; the first is in policy.yaml:3"),
        ("policy: x\nremoves: [a]\n", "policy.yaml:2: removes: "),
        ("policy: x\nextends: packs/china\nresidency: 5\n", "policy.yaml:3: residency: "),
        ("policy: x\nextends: packs/china\ntests: 5\n", "policy.yaml:3: tests: "),
        (
            "policy: x\nextends: [packs/nowhere]\n",
            "policy.yaml:2: extends[0]: no pack is called 'nowhere'; there are: ",
        ),
        ("policy: x\nextends: [/etc/passwd]\n", "policy.yaml:2: extends[0]: '/etc/passwd' is no layer"),
        ("policy: x\nextends: [policy.yaml]\n", "extends this file again"),
        ("policy: x\nextends: [gone.yaml]\n", "cannot be read"),
        ("policy: x\nremoves: {clauses: {a: gone}}\n", "policy.yaml:2: removes.clauses.a: no layer below has 'a'"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_the_remedy(write: Write, text: str, say: str) -> None:
    """One sentence says the file, the line, the key and what to write instead."""
    with pytest.raises(ConfigError) as raised:
        FilePolicy(load(write(text)))

    assert say in str(raised.value)


BELOW = """\
policy: acme
version: "1"
min_bytes: 1 kB
residency:
  prefer: [de, nl]
  exclude_rules: {RU-02: below}
approvals: {people: 2}
clauses:
  - id: old
    select: {min_age: P2Y, kinds: [File]}
    then: move
  - {id: held, select: {kinds: [Note]}, then: keep, reason: hold}
tests:
  - {name: works, given: {kind: Note}, expect: {verdict: KEEP}}
"""
ABOVE = """\
policy: acme-emea
extends: [below.yaml]
residency:
  prefer: [us]
clauses:
  - id: old
    select: {min_age: P1Y}
  - {id: new, select: {kinds: [Mail]}, then: review, reason: look}
"""


def test_layers_merge_by_name_and_every_value_knows_its_place(write: Write) -> None:
    """Single values and plain lists are replaced, mappings and named things merge, and nothing else is lost."""
    book = load(write(ABOVE, below_yaml=BELOW))

    content = book.content
    assert (content.policy, content.version, content.min_bytes) == ("acme-emea", "", 1000)
    assert content.residency.prefer == ("us",)
    assert content.residency.exclude_rules == {"RU-02": "below"}
    assert [clause.id for clause in content.clauses] == ["old", "held", "new"]
    assert (content.clauses[0].select.min_age, content.clauses[0].select.kinds) == ("P1Y", ("File",))
    assert book.origin("clauses", 0, "select", "min_age") == "policy.yaml:7"
    assert book.origin("clauses", 0, "select", "kinds") == "below.yaml:10"
    assert book.origin("clauses", 1) == "below.yaml:12"
    assert book.origin("min_bytes") == "below.yaml:3"
    assert [name for name, _ in book.shas] == ["below.yaml", "policy.yaml"]


def test_three_layers_stand_upon_each_other(write: Write) -> None:
    """Pack, organisation and source: the source's file says the last word, and tests of all layers are kept."""
    source = "policy: s\nextends: [sub/org.yaml]\nclauses:\n  - {id: a, then: review, reason: source}\n"
    org = f"policy: org\nextends: [packs/china, ../base.yaml]\n{ALL.partition(chr(10))[2].replace('id: all', 'id: a')}"

    book = load(write(source, sub__org_yaml=org, base_yaml="policy: base\nmin_bytes: 5\n"))

    assert [layer.name for layer in book.layers] == [
        "packs/china.yaml",
        "base.yaml",
        "sub/org.yaml",
        "policy.yaml",
    ]
    assert book.content.clauses[0].then == "review"
    assert book.content.min_bytes == 5
    assert any("Hong Kong" in case.name for case in book.content.tests)


def test_a_removal_takes_out_and_keeps_its_reason(write: Write) -> None:
    """A clause and a test of the layer below can be taken out, with a reason that is kept with both places."""
    removes = "removes:\n  clauses:\n    held: the hold has ended\n  tests: {works: no longer}\n"
    book = load(write(ABOVE + removes, below_yaml=BELOW))

    assert [clause.id for clause in book.content.clauses] == ["old", "new"]
    assert book.content.tests == ()
    found = {(each.name, each.reason, each.origin, each.was) for each in book.removals}
    assert ("held", "the hold has ended", "policy.yaml:11", "below.yaml:12") in found


def test_a_removal_without_a_reason_is_refused(write: Write) -> None:
    """An empty reason is none."""
    with pytest.raises(ConfigError, match=r"policy\.yaml:9: removes\.clauses\.held"):
        load(write(f"{ABOVE}removes: {{clauses: {{held: ''}}}}\n", below_yaml=BELOW))


def test_a_mistake_in_a_lower_layer_is_named_there(write: Write) -> None:
    """The error has the file and the line of the layer that is wrong."""
    with pytest.raises(ConfigError, match=r"below\.yaml:5: residency\.colour: unknown key"):
        load(write(ABOVE, below_yaml=BELOW.replace("prefer: [de, nl]", "colour: x")))


def test_the_fingerprint_follows_everything_that_can_change_a_decision(policy: Open) -> None:
    """A word in any layer changes it; comments and spaces do not."""
    one = policy(ABOVE, below_yaml=BELOW).fingerprint

    assert policy(ABOVE + "# a remark\n", below_yaml=BELOW).fingerprint == one
    assert policy(ABOVE, below_yaml=BELOW.replace("P2Y, kinds: [File]", "P2Y, kinds: [Note]")).fingerprint != one
    assert policy(ABOVE, below_yaml=BELOW.replace("people: 2", "people: 1")).fingerprint != one


def test_terms_say_what_plans_and_reports_need(policy: Open) -> None:
    """Name, version, layers, approvals, caps, owner of exceptions and the record of processing come from the file."""
    opened = policy(EXAMPLE.read_text(encoding="utf-8"))

    terms = opened.terms
    assert (terms.name, terms.version) == ("acme", "2026-11")
    assert [name for name, _ in terms.layers][-1] == "policy.yaml"
    assert (terms.approvals.people, terms.approvals.preparer, terms.approvals.days) == (2, False, 14)
    assert (terms.caps.documents, terms.caps.percent, terms.caps.pilot) == (50_000, 20, 100)
    assert (terms.exceptions_owner, terms.exceptions_days) == ("Data-protection officer", 30)
    assert terms.processing["controller"] == "Acme B.V., Utrecht"
    assert terms.reviews["ACME-01"].isoformat() == "2027-03-31"
    assert terms.reviews["packs/china.yaml"].isoformat() == "2027-01-31"
    assert json.loads(json.dumps(terms.processing)) is not None


def test_own_rules_and_groups_bind(policy: Open) -> None:
    """A rule of the file narrows the places, and the decision names its line in the file."""
    own = (
        "groups:\n  - {id: HOME, members: [NL, BE]}\nrules:\n"
        "  - {id: R-1, jur: DE, category: personal_data, mode: HARD, must_in: ['@HOME'], cite: board, review: 2030}\n"
    )
    found = policy(ALL + own).decide(document(), STORES, NOW)

    assert found.store == "nl"
    assert found.countries == {"NL", "BE"}
    assert {reason.origin for reason in found.reasons if reason.rule == "R-1"} == {"policy.yaml:7"}


def test_the_schema_takes_the_example_and_refuses_unknown_keys() -> None:
    """What editors check with is valid JSON Schema, takes the page's example, and knows what may not stand there."""
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    value = YAML(typ="safe", pure=True).load(StringIO(EXAMPLE.read_text(encoding="utf-8")))
    plain = json.loads(json.dumps(value, default=lambda day: day.isoformat()))

    assert list(Draft202012Validator(schema).iter_errors(plain)) == []
    assert list(Draft202012Validator(schema).iter_errors({**plain, "clause": []})) != []


def test_provenance_names_a_real_line(write: Write) -> None:
    """Every effective value of the example points at a line that holds its key or its item."""
    path = write(EXAMPLE.read_text(encoding="utf-8"))
    book: Book = load(path)
    lines = {layer.name: layer.text.splitlines() for layer in book.layers}

    for steps, known in book.origins.items():
        file, _, number = known.origin.rpartition(":")
        line = lines[file][int(number) - 1]
        assert isinstance(steps[-1], int) or str(steps[-1]) in line, (steps, known.origin)


def test_the_end_of_documents_is_said_by_the_policy(policy: Open) -> None:
    """What becomes of stored documents stands in the terms; where the file says nothing, nothing goes by itself."""
    assert policy(EXAMPLE.read_text(encoding="utf-8")).terms.ends == Ends(after="delete", grace_days=45)
    silent = policy("policy: x\n").terms.ends
    assert (silent.after, silent.bypass_governance, silent.grace_days) == ("keep", False, 30)
    bold = policy("policy: x\nexpiry: {after: delete, bypass_governance: true}\ndeletions: {grace: 0}\n").terms.ends
    assert bold == Ends(after="delete", bypass_governance=True, grace_days=0)

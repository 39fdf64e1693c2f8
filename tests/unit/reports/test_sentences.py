"""Sentences of decisions, which plans keep in English, are found again and said in the reader's language."""

from __future__ import annotations

import ast
import itertools
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import offloader.moves
from offloader.model import Assurance, Decision, Document, DocumentRef, LocationProof, Parent, Reason, Skip, Version
from offloader.ports import Target
from offloader.reports import sentences
from offloader.reports.message import Message
from offloader.reports.words import Words
from offloader_connectors.dynamics365 import skip as dynamics_skip
from offloader_connectors.salesforce import skip as salesforce_skip
from offloader_policies import engine, tables
from offloader_policies.engine import ResidencyPolicy
from offloader_policies.options import ResidencyOptions
from offloader_policies.selection import Selection

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EARLY, LATE = datetime(2001, 1, 1, tzinfo=UTC), datetime(2039, 1, 1, tzinfo=UTC)
#: what no form says: a rule's step in the narrowing, and how a category is known
STEPS = re.compile(r"[A-Z0-9-]+ -\d+|[a-z_]+ \(.+\)")


class AsItIs:
    """English, with countries by their codes."""

    def say(self, text: str) -> str:
        return text

    def countries(self, codes: Iterable[str]) -> str:
        return f"{{{', '.join(codes)}}}"


def _plain(text: str) -> str:
    """Without what is said in other words even in English: how sure a store's place is, and an empty set of places."""
    said = r"[(),{}\s]|measured|stated by a person|not known|violated|changed|none|[A-Z]{6,}"
    return re.sub(said, "", text)


def unknown(sentence: str, code: str = "") -> list[str]:
    """The parts of a sentence that are in no form; the others are put together again as they were."""
    told = sentences.said(sentence, code, AsItIs())
    assert told is None or _plain(told) == _plain(sentence)
    left = [part for part in sentence.split("; ") if sentences.said(part, code, AsItIs()) is None]
    whole = any(form.pattern.fullmatch(sentence) for form in sentences.forms(code))
    return [] if whole else left


def offers() -> Iterator[list[Target]]:
    """Eight proven stores; two that a person attests; stores whose proof has run out; none."""

    def store(code: str, assurance: Assurance, hours: int) -> Target:
        taken = NOW - timedelta(hours=1)
        countries, ends = frozenset(code.split()), taken + timedelta(hours=hours)
        name = f"store-{code.lower().replace(' ', '-')}"
        proof = LocationProof(
            store=name, assurance=assurance, countries=countries, taken=taken, expires=ends, summary=""
        )
        return Target(name, proof)

    yield [store(code, Assurance.PROVEN, 24) for code in ("AU", "BR", "CA", "DE FR", "FR", "IN", "SG", "US")]
    yield [store("DE", Assurance.ATTESTED, 24), store("US", Assurance.ATTESTED, 24)]
    yield [store("DE", Assurance.PROVEN, 0), store("RU", Assurance.PROVEN, 24), store("CN", Assurance.PROVEN, 24)]
    yield []


def policies() -> Iterator[ResidencyPolicy]:
    loaded = tables.load()
    basis = {
        "id": "SCC-1",
        "kind": "scc",
        "rules": ["EU-01", "CN-01"],
        "destinations": ["US"],
        "valid_from": "2026-01-01",
        "valid_to": "2027-01-01",
        "owner": "A. Jansen",
    }
    spent = {**basis, "id": "SCC-0", "valid_to": "2026-02-01"}
    later = {**basis, "id": "SCC-2", "valid_from": "2026-12-01"}
    ties = {"citizenship": ("citizenship",)}
    yield ResidencyPolicy(loaded, ResidencyOptions(further_signals=ties))
    yield ResidencyPolicy(loaded, ResidencyOptions.model_validate({"transfer_bases": [basis, spent, later]}))
    options = {
        "exclude_rules": {"EU-01": "counsel, 3 March"},
        "treat_volume_rules_as": "under_1000000",
        "attested": "free_rules_only",
        "overdue_rules": "review",
        "retention": {"by_law": True, "exclude": {"DE-R1": "not ours"}},
        "min_bytes": 10,
    }
    yield ResidencyPolicy(loaded, ResidencyOptions.model_validate(options))


def documents() -> Iterator[Document]:
    """Two hundred mixed combinations of signals, every jurisdiction and category among them; and odd ones."""
    loaded = tables.load()
    ruled = [*sorted({rule.jurisdiction for rule in loaded.rules} - {"EU"}), "FR", "NL", "Atlantis; Mu", ""]
    named = sorted(loaded.categories)
    drawn = random.Random(7)
    pairs = itertools.islice(itertools.cycle(ruled), 200)
    for number, first in enumerate(pairs):
        country, _, part = first.partition("-")
        more = drawn.choice(ruled).partition("-")[0] if number % 3 == 0 else ""
        signals = {
            "country": country,
            "citizenship": more,
            "category": named[number % len(named)] if number > len(ruled) else "?",
        }
        signals |= {"subdivision": first} if part and number % 2 else {}
        parents = [Parent(type="Account", id=f"001{number}", signals=signals)]
        parents += [Parent(type="Account", id="002", signals={"country": more})] if more else []
        version = Version(id="v", number=1, name="x", size=5 + number, created=NOW - timedelta(days=number * 20))
        yield Document(ref=DocumentRef("crm", "File", "1"), title="x", versions=(version,), parents=tuple(parents))
    yield replace(_first(), parents=(Parent(type="Account", id="1", signals={"country": "FR", "category": "?"}),))
    yield replace(_first(), versions=())
    yield replace(_first(), parents=())
    yield replace(
        _first(), parents=tuple(Parent(type="Account", id=f"{n}", signals={"country": "?"}) for n in range(9))
    )


def _first() -> Document:
    version = Version(id="v", number=1, name="x", size=5)
    return Document(ref=DocumentRef("crm", "File", "1"), title="x", versions=(version,))


def decisions() -> Iterator[Decision]:
    chosen = (Selection(), Selection(clauses=("a",), copies=2, prefer=("store-us",)))
    given = list(documents())
    for policy, targets, selected in itertools.product(policies(), offers(), chosen):
        moments = (EARLY, NOW, LATE) if selected.clauses and not targets else (NOW,)
        for document, now in itertools.product(given, moments):
            yield policy.decide(document, targets, now, selected)


def test_every_sentence_of_the_engine_is_known() -> None:
    """Over all rules, 200 combinations of signals and many policies and stores, only citations are in no form."""
    loaded = tables.load()
    rules = {rule.id: rule for rule in loaded.rules}
    seen: set[Reason] = set()
    for decision in decisions():
        seen.update(decision.reasons)
    codes = {reason.code for reason in seen}
    wrong = {}
    for reason in seen:
        left = [part for part in unknown(reason.text, reason.code) if not STEPS.fullmatch(part)]
        if reason.code in tables.Mode.__members__ and reason.rule in rules:
            cited = rules[reason.rule].citation
            left = [part for part in left if not cited.startswith(part.partition(" (")[0])]
        if left:
            wrong[reason.text] = left

    assert {reason.rule for reason in seen if reason.rule} >= rules.keys()
    assert {"PLACED", "NO_COMPLIANT_TARGET", "NO_PROOF", "SPLIT_REQUIRED", "COPY_NEEDED", "UNKNOWN_SIGNAL"} <= codes
    assert {"RULES_OVERDUE", "EXCLUDED", "BASIS_NOT_IN_FORCE", "RETENTION", "NOT_IN_FORCE"} <= codes
    assert wrong == {}


def test_every_sentence_of_sources_and_plans_is_known() -> None:
    """What connectors say of documents that stay, and every plain reason in the source of plans and policies."""
    said = [value for module in (dynamics_skip, salesforce_skip) for value in vars(module).values()]
    known = [(value.reason, value.code) for value in said if isinstance(value, Skip)]
    for package in (offloader.moves, engine):
        folder = Path(package.__file__ or "").parent
        for path in folder.rglob("*.py"):
            known += _plain_reasons(ast.parse(path.read_text(encoding="utf-8")))

    assert len(known) > 30
    assert [text for text, code in known if unknown(text, code)] == []


def _plain_reasons(tree: ast.AST) -> list[tuple[str, str]]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) >= 2]
    named = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "Reason"]
    values = [(node.args[1], node.args[0]) for node in named]
    return [
        (text.value, str(code.value))
        for text, code in values
        if isinstance(text, ast.Constant) and isinstance(code, ast.Constant) and isinstance(text.value, str)
    ]


@pytest.mark.parametrize(
    ("code", "english", "dutch"),
    [
        ("HARD", "all copies only in {DE}; AO §146(2)", "alle kopieën alleen in Duitsland; AO §146(2)"),
        (
            "PERMITTED",
            "249 places; DE-02 -202 -> 47 places",
            "249 landen en gebieden; DE-02 -202 -> 47 landen en gebieden",
        ),
        (
            "NO_COMPLIANT_TARGET",
            "no store lies wholly in {CN} (CN-01); stores: a {DE} PROVEN and 3 more",
            "geen opslag ligt geheel in China (CN-01); opslag: a (Duitsland, gemeten) en nog 3",
        ),
        (
            "COPY_NEEDED",
            "needed: a full copy in {RU} and 2 full copies in different stores; stores that may hold one: none",
            (
                "nodig: een volledige kopie in Rusland en 2 volledige kopieën in verschillende opslag; "
                "opslag die er een mag hebben: geen"
            ),
        ),
        (
            "UNKNOWN_SIGNAL",
            "Account 1 has the country 'a; b', which is no known country",
            "Account 1 heeft als country 'a; b', en dat is geen bekend land",
        ),
        ("CLAUSE", "move: Old; big; categories invoices", "verplaatsen: Old; big; categorieën invoices"),
        ("KEPT_BY_CLAUSE", "The works council wants it.", "The works council wants it."),
    ],
)
def test_sentences_are_said_in_dutch(code: str, english: str, dutch: str) -> None:
    """The known parts are translated, what people and rule tables have written stays."""
    spoken = Words("nl")

    assert spoken.told(english, code) == dutch
    assert spoken.foreign(english, code) is (english == dutch)


def test_english_names_countries_and_proofs() -> None:
    """The English reader gets the same sentence with countries by name and proofs in words."""
    sentence = (
        "waits for a {DE, US} PROVEN, which has no current proof of its place; it would come before b 46 places DRIFT"
    )

    assert Words("en").told(sentence) == (
        "waits for a (Germany, United States, measured), which has no current proof of its place; "
        "it would come before b (46 places, changed)"
    )
    assert not Words("en").foreign("anything")


def test_a_message_is_english_for_programs_and_spoken_to_people() -> None:
    """It is its English text; said to a reader, its numbers, sizes and days are written as the language does."""
    inner = Message("{usd} USD per GB", usd=0.023)
    message = Message("{what}: {n} bytes on {day}", what=inner, n=1_500_000, day=NOW.date())

    assert message == "0.023 USD per GB: 1500000 bytes on 2026-11-22"
    assert Words("nl").told(message) == "0,023 USD per GB: 1.500.000 bytes on 22 november 2026"
    assert Words("nl").told(inner) == "0,023 USD per GB"


@pytest.mark.parametrize(
    ("column", "value", "dutch"),
    [
        (
            "recipients",
            "Mail house BV; au (AU); us (DE, US)",
            "Mail house BV; au (Australië); us (Duitsland, Verenigde Staten)",
        ),
        ("third_countries", "US; as agreed", "Verenigde Staten; as agreed"),
        (
            "security_measures",
            "TLS; au: SHA-256 of every copy checked",
            "TLS; au: SHA-256 van elke kopie gecontroleerd",
        ),
        ("purposes", "US", "US"),
    ],
)
def test_the_record_of_processing_is_said_as_far_as_offloader_wrote_it(column: str, value: str, dutch: str) -> None:
    """Countries and measures that come from the plan are in the reader's language; the policy's words stay."""
    assert Words("nl").entry(column, value) == dutch


def test_a_pilot_says_so() -> None:
    """The scope of a pilot's report names how many documents of how many, and the seed."""
    scope = {"sources": ["crm"], "pilot": {"documents": 100, "seed": 7, "of": 2500}}

    assert Words("en").scope(scope) == "crm; a pilot: 100 of 2,500 documents, drawn with the seed 7"
    assert Words("nl").scope({"sources": []}) == "elke bron"

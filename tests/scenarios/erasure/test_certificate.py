"""The certificate: what it says, what it does not say, and that it can be checked without us."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

from offloader import signing
from offloader.disposition.certificate import certify, write
from offloader.disposition.erasing import apply_erasure
from offloader.disposition.subjects import subject_of
from offloader.model import Decision, Document, Retention
from offloader.ports import Target, Terms
from tests.scenarios.conftest import CountryPolicy
from tests.scenarios.erasure.conftest import KEY, NAME, Case


def plan_of(case: Case) -> str:
    with case.at() as site:
        made = case.plan(site)
    assert made.row is not None
    return made.row.id


def test_it_lists_each_copy_and_names_nobody(case: Case) -> None:
    """Every copy of every erased document is there, with store, time and evidence, and no name or id of the CRM."""
    entries = [case.house.entry(ref) for ref in case.mine.values()]
    keys = {copy.key for entry in entries for version in entry.versions for copy in version.copies}
    plan = plan_of(case)
    case.apply(plan)

    with case.at() as site:
        made = certify(site, plan, backups={}, organisation="Acme")
    text = json.dumps(made.as_json())

    copies = [copy for each in made.statement["documents"] for copy in each["copies"]]
    assert {copy["key"] for copy in copies} == keys
    assert all(copy["gone"] and copy["versions"] == 1 and "no object" in copy["evidence"] for copy in copies)
    assert made.statement["request"]["due"] == "2026-02-05"
    for word in (NAME, case.subject.partition(":")[2], *(ref.id for ref in case.mine.values())):
        assert word not in text


def test_its_signature_holds_over_what_it_says(case: Case) -> None:
    """The JWS in the file is over the rest of the file, by the audit log's key."""
    plan = plan_of(case)
    case.apply(plan)
    with case.at() as site:
        value = json.loads(json.dumps(certify(site, plan, backups={}).as_json()))

    signature = value.pop("signature")

    assert signing.opened(signature, signing.public_key(KEY)) == value


def test_it_is_checked_without_offloader(case: Case, tmp_path: Path) -> None:
    """The script beside it finds the signature good, and notices another key and an edited statement."""
    plan = plan_of(case)
    case.apply(plan)
    with case.at() as site:
        value, *_, script = write(certify(site, plan, backups={}), tmp_path, ("en",))

    def check(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, str(script), str(value), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    code, said = check(signing.public_key(KEY))
    assert (code, "signature: good" in said, "3 of 3 copies are gone" in said) == (0, True, True)
    assert check(signing.public_key(signing.new_key())) == (1, "the signature is not by this key\n")
    value.write_text(value.read_text().replace('"gone": true', '"gone": false', 1))
    assert check() == (1, "the certificate is not what was signed\n")


def test_it_says_first_what_came_of_the_request(case: Case, tmp_path: Path) -> None:
    """Both pages begin with how many documents ended how, whether the answer was in time, and on which ground."""
    with case.at() as site:
        made = case.plan(site, redact=(str(case.shared),), ground="b")
        assert made.row is not None
        apply_erasure(site, made.row.id)
        made_ = certify(site, made.row.id, backups={})
    english, dutch = (path.read_text() for path in write(made_, tmp_path, ("en", "nl"))[1:3])

    assert made_.statement["summary"] == {"found": 3, "erased": 2, "redacted": 1, "kept": 0, "waiting": 0}
    assert made_.statement["request"]["in_time"] is True
    assert "Erased: 2. Left for others without the person: 1." in english
    assert "Article 17(1)(b): the consent was withdrawn" in english
    assert "Dora, 2026-01-05" in english
    assert "logboek van gebeurtenissen" in dutch
    for words in ("beantwoord op 2026-01-05, op tijd", "de toestemming is ingetrokken", "bewijst de gebeurtenissen"):
        assert words in dutch


def test_a_locked_copy_is_listed_with_its_date(case: Case, tmp_path: Path) -> None:
    """What a lock keeps, the CRM's bin and a back-up stand in the list of what was not reached, each with its day."""
    key = case.house.entry(case.mine["file"]).versions[0].copies[0].key
    until = case.house.clock.now().replace(year=2027)
    case.house.de.lock(key, until)
    plan = plan_of(case)
    case.apply(plan)
    with case.at() as site:
        made = certify(site, plan, backups={"tapes": "2027-05-31"})

    missing = {each["what"]: each["until"] for each in made.statement["not_reached"]}
    assert missing[f"store de, {key}"] == until.isoformat()
    assert missing["back-up tapes"] == "2027-05-31"
    assert any(what.startswith("CRM crm, File") and day == "2026-01-20T09:00:00+00:00" for what, day in missing.items())
    reasons = {each["why"] for each in made.statement["not_reached"]}
    assert {f"the {thing}, in the CRM's own recycle bin" for thing in ("original", "link")} <= reasons
    english, dutch = (path.read_text() for path in write(made, tmp_path / "out", ("en", "nl"))[1:3])
    assert key in english
    assert "Not reached, and until when" in english
    for words in (
        "Niet bereikt, en tot wanneer",
        "het origineel, in de prullenbak van het CRM zelf",
        "deel van een keten van hashes",
    ):
        assert words in dutch


def test_an_authority_finds_the_controller_and_the_person(case: Case, tmp_path: Path) -> None:
    """The contacts of the policy's record of processing stand in it, how many versions a document had, and the keyed
    hash that the controller makes again of the person."""
    processing = {"controller": "Acme B.V., Rotterdam", "dpo_contact": "dpo@acme.example"}
    with case.at() as blank:
        site = replace(blank, policies={"crm": CountryPolicy(terms=Terms(processing=processing))})
        plan = case.plan(site).row
        assert plan is not None
        apply_erasure(site, plan.id)
        made = certify(site, plan.id, backups={}, organisation="Acme")
        again = subject_of(site, [case.subject]).mark(site)
    page = write(made, tmp_path, ("en",))[1].read_text()

    assert made.statement["subject"]["keyed_hash"] == again
    assert sorted(each["versions"] for each in made.statement["documents"]) == [1, 2]
    assert ["Acme B.V., Rotterdam" in page, "dpo@acme.example" in page] == [True, True]


def test_what_is_held_is_said_with_its_ground(case: Case) -> None:
    """A held document is among what is kept, with the hold and Article 17(3)(e)."""
    hold = case.hold()
    plan = plan_of(case)
    with case.at() as site:
        apply_erasure(site, plan)
        made = certify(site, plan, backups={})

    held = [each for each in made.statement["kept"] if each["ground"] == "Article 17(3)(e)"]
    assert [each["why"] for each in held] == [f"legal hold {hold}"]


def test_a_hold_that_has_ended_is_said_to_go_on_naming_ids(case: Case, tmp_path: Path) -> None:
    """The objects of a hold in the stores outlive its release and the documents: the certificate says so."""
    hold = case.hold()
    case.release(hold)
    plan = plan_of(case)
    case.apply(plan)
    with case.at() as site:
        made = certify(site, plan, backups={})

    (said,) = [each["why"] for each in made.statement["stays"] if each["what"] == f"legal holds {hold}"]
    assert "objects holds/ of the stores" in said
    (dutch,) = [path.read_text() for path in write(made, tmp_path, ("nl",)) if path.suffix == ".html"]
    assert "in objecten holds/ van de opslagen" in dutch


def test_hostile_text_stays_text(case: Case, tmp_path: Path) -> None:
    """What a controller calls itself cannot become markup."""
    plan = plan_of(case)
    case.apply(plan)
    with case.at() as site:
        made = certify(site, plan, backups={}, organisation="<script>alert(1)</script>")

    pages = [path.read_text() for path in write(made, tmp_path, ("en", "nl")) if path.suffix == ".html"]

    assert all("<script" not in page for page in pages)
    assert all("src=" not in page and "http" not in page for page in pages)


class Duty(CountryPolicy):
    """Has everything kept until a day that is still to come."""

    def decide(self, document: Document, targets: Sequence[Target], now: datetime) -> Decision:
        kept = Retention(keep_until=date(2030, 1, 1), rules=("NL-R5",))
        return replace(super().decide(document, targets, now), retention=kept)


def test_a_duty_to_keep_is_said_and_nothing_is_touched(case: Case) -> None:
    """What a retention duty keeps stays, and the certificate names the rule, the day and Article 17(3)(b)."""
    case.house.policy = Duty()
    plan = plan_of(case)
    report = case.apply(plan)
    with case.at() as site:
        kept = certify(site, plan, backups={}).statement["kept"]
        (request,) = site.ledger.requests()

    assert report.states == {"skipped": 3}
    assert {each["ground"] for each in kept} == {"Article 17(3)(b)"}
    assert all("NL-R5" in each["why"] and "2030-01-01" in each["why"] for each in kept)
    assert request.state == "done"
    assert len(case.house.blobs(case.house.de)) == 5

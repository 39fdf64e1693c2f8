"""Erasures that reach into both CRMs, by command line: originals, placeholders, shared files, kills, refusals."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from offloader import signing
from offloader_connectors.dynamics365.emulator.options import OrgOptions as DynamicsOptions
from tests import processes
from tests.integration.whole.bed import CREATED, Bed
from tests.integration.whole.dynamics import Field
from tests.integration.whole.ground import Ground
from tests.integration.whole.officers import governed
from tests.integration.whole.plant import TIMEOUT_S

KILLED = Path(__file__).with_name("killed_act.py")


def acts(made: Mapping[str, Any]) -> dict[str, str]:
    """What a plan says of each document, by its id in the CRM."""
    return {each["document"].rpartition("/")[2]: each["act"] for each in made["documents"]}


def certificate(bed: Bed, plan: str) -> dict[str, Any]:
    """The certificate as written."""
    answer = bed.offloader("erase", "certificate", plan, "--out", str(bed.directory / "proof"))
    value: dict[str, Any] = json.loads(Path(answer["files"][0]).read_text(encoding="utf-8"))
    return value


def kept(bed: Bed) -> str:
    """Everything that stores and ledger hold, as text."""
    files = [*bed.directory.glob("stores/**/*"), *bed.directory.glob("ledger.sqlite*")]
    return "\n".join(path.read_text("latin-1") for path in files if path.is_file())


def killed(bed: Bed, plan: str, *step: str) -> None:
    """Carry out a plan until the step, where the process is killed by SIGKILL."""
    done = processes.run([str(KILLED), str(bed.config), plan, *step], timeout=TIMEOUT_S)
    assert done.returncode == -9, done.stderr


def packed(bed: Bed, records: Sequence[str], *options: str) -> tuple[str, dict[str, Any]]:
    """The person's access pack, which checks out: everything that it hands over as text, and what it says of it."""
    folder = bed.directory / f"pack{len(options)}"
    bed.offloader("export", *records, "--out", str(folder), *options)
    tool = shutil.which("sha256sum")
    assert tool
    subprocess.run([tool, "--quiet", "--strict", "-c", "manifest-sha256.txt"], cwd=folder, check=True)
    files = [path for path in (folder / "data").rglob("*") if path.is_file()]
    about: dict[str, Any] = json.loads((folder / "data/documents.json").read_text(encoding="utf-8"))
    return "\n".join(path.read_text("latin-1") for path in files), about


class Person:
    """A contact of a Salesforce org: a moved file, an attachment, a mail's, a file that has not moved, a shared one."""

    def __init__(self, ground: Ground) -> None:
        org = ground.org
        self.id = org.insert("Contact", {"LastName": "Jansen", "AccountId": ground.account, "MailingCountryCode": "DE"})
        self.moved = ground.file("Jansen <i>passport", parents=[self.id])
        self.shared = ground.file("lease", parents=[self.id, ground.account])
        self.mail = org.insert("EmailMessage", {"Subject": "s", "Status": "3", "RelatedToId": self.id})
        self.mailed = ground.attachment("Jansen mailed.pdf", b"the mailed file", parent=self.mail)
        assert ground.offloader("run")["moved"] == 3
        self.unmoved = ground.file("Jansen new", parents=[self.id])
        ground.offloader("scan", "--full", expect=(0, 3))

    @property
    def records(self) -> list[str]:
        return [f"Contact:{self.id}", f"EmailMessage:{self.mail}"]


def test_a_person_of_salesforce(ground: Ground) -> None:
    """From the request to its certificate, through a kill, a refusal and a lost answer: what is the person's goes, the
    shared file stays for the other, and a signed certificate lists each copy."""
    key = governed(ground)
    person = Person(ground)
    shared = f"salesforce/ContentDocument/{person.shared}"
    gone = {person.moved, person.unmoved, person.mailed}
    found = ground.offloader("erase", "find", *person.records)["documents"]
    assert {each["document"].rpartition("/")[2] for each in found} == {*gone, person.shared}
    pack, about = packed(ground, person.records, "--exclude", shared)
    assert "Jansen &lt;i&gt;passport" in pack
    assert "the bytes of lease" not in pack
    assert ground.account not in pack
    handed = {each["document"].rpartition("/")[2] for each in about["documents"]}
    assert (handed, about["withheld"]["documents"]) == (gone, 1)

    options = ("--delete-in-crm", "--redact-parent", shared, "--received", "2024-01-31", "--ground", "b")
    made = ground.offloader("erase", "plan", *person.records, *options)
    assert acts(made) == {**dict.fromkeys(gone, "erase"), person.shared: "redact"}
    assert made["request"]["due"] == "2024-02-29"
    ground.offloader("approve", made["plan"], "--key", str(key), "--reason", "checked")
    killed(ground, made["plan"], "records", "delete", "1", "after")
    ground.script({"on": "collections.delete", "do": "item", "code": "DELETE_FAILED", "message": "the contract runs"})
    refused = ground.offloader("apply", made["plan"], expect=(1,))
    assert refused["states"]["failed"] == 1
    assert "the contract runs" in refused["stopped"]
    ground.script({"on": "collections.delete", "nth": 1, "do": "drop_after_commit"})
    assert ground.offloader("apply", made["plan"])["states"] == {"done": 1}
    assert ground.fired() == 1

    assert ground.gone(*gone)
    shared_with = {row["LinkedEntityId"] for row in ground.org.rows("ContentDocumentLink") if not row["IsDeleted"]}
    assert person.id not in shared_with
    assert ground.account in shared_with
    left = kept(ground)
    assert "the bytes of lease" in left
    assert "Jansen" not in left
    assert person.id not in left
    _certified(ground, made["plan"])
    assert ground.offloader("erase", "replay")["plan"] is None


def _certified(ground: Ground, plan: str) -> None:
    """The certificate is signed, and says what became of each; the event log proves one of them."""
    proof = certificate(ground, plan)
    audit = (ground.directory / "audit.jwk").read_text(encoding="ascii")
    assert signing.opened(proof.pop("signature"), signing.public_key(audit)) == proof
    assert [each["state"] for each in (*proof["documents"], *proof["redacted"])] == ["done"] * 4
    for copy in (copy for each in proof["documents"] for copy in each["copies"]):
        assert not (ground.directory / "stores" / copy["store"] / copy["key"]).exists()
    assert [each["person"] for each in proof["approvals"]] == ["anna"]
    assert (proof["controller"], proof["ground"][:20]) == ("Acme BV", "GDPR Article 17(1)(b")
    assert proof["request"]["in_time"] is False
    name = proof["documents"][0]["known_as"]
    assert ground.offloader("audit", "prove", name, "--out", str(ground.directory / "event.json"))


class Customer:
    """A contact and an account of a Dynamics environment, with what moved, and what is too small to have moved."""

    def __init__(self, field: Field) -> None:
        org = field.org
        known = {"ownerid": ("systemuser", field.owner), "createdon": CREATED}
        self.contact = org.insert("contact", {**known, "lastname": "Jansen", "address1_country": "DE"})
        self.account = org.insert("account", {**known, "name": "Jansen GmbH", "address1_country": "DE"})
        about = {"regardingobjectid": ("contact", self.contact)}
        self.mails = [field.mail(**about), field.mail(**about)]
        self.note = field.note("Jansen note.pdf", parent=("contact", self.contact))
        self.twice = field.mailed("Jansen twice.pdf", mails=self.mails)
        self.theirs = field.mailed("campaign.pdf", mails=[self.mails[0], field.mail()])
        assert field.offloader("run", expect=(0, 3))["moved"] == 3
        self.small = field.note("Jansen small.pdf", b"small", parent=("contact", self.contact))
        self.attached = field.mailed("Jansen attached.pdf", b"small", mails=self.mails)
        org.set_file("account", self.account, "new_dossier", file_name="Jansen.pdf", body=b"small")
        self.column = f"account:{self.account}:new_dossier"
        self.mine = [self.note, self.twice, self.small, self.attached, self.column]
        field.offloader("scan", "--full", expect=(0, 3))

    @property
    def records(self) -> list[str]:
        return [f"contact:{self.contact}", f"account:{self.account}", *(f"email:{each}" for each in self.mails)]


class TestDynamics:
    """Each mail's row gets an attachment of its own when the placeholder is written: its first id leads nowhere."""

    @pytest.fixture
    def environment_options(self) -> DynamicsOptions:
        return DynamicsOptions(shared_update="own")

    def test_a_person_of_dynamics(self, field: Field) -> None:
        """Placeholders, small notes, attachments of several mails and a file in a column go; what cannot be taken off
        one mail is said and stays. A hold keeps a note until it is released, and the request with it."""
        key = governed(field)
        person = Customer(field)
        pack, about = packed(field, person.records)
        assert {each["document"].rpartition("/")[2] for each in about["documents"]} == {*person.mine}
        assert "campaign" not in pack
        theirs = ["--redact-parent", f"dynamics365/activitymimeattachment/{person.theirs}"]
        made = field.offloader("erase", "plan", *person.records, "--delete-in-crm", *theirs)
        assert acts(made) == {**dict.fromkeys(person.mine, "erase"), person.theirs: "review"}
        (text,) = (each["text"] for each in made["documents"] if each["act"] == "review")
        assert "no link that could be taken off one record" in text
        frozen = ("--document", f"dynamics365/annotation/{person.note}")
        hold = field.offloader("hold", "add", "--matter", "Roe", *frozen, "--reason", "claim")
        assert field.offloader("apply", made["plan"], expect=(4,))["request"]["state"] == "held"
        assert {row["filename"] for row in field.org.rows("activitymimeattachment")} == {"campaign.pdf.url"}
        assert [row["annotationid"] for row in field.org.rows("annotation")] == [person.note]
        assert ("filecolumn", person.column) not in field.witness().documents
        for who in ((), ("--key", str(key))):
            field.offloader("hold", "release", hold["hold"], "--reason", "settled", *who)
        # what others have too waits for a person: the request stays open
        assert field.offloader("apply", made["plan"])["request"]["state"] == "open"
        assert list(field.org.rows("annotation")) == []
        assert "Jansen" not in kept(field)

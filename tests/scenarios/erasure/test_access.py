"""The access pack: whole, checkable without us, and careful with other people."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from offloader.disposition.access import GATE, Choice, Pack, export
from offloader.disposition.subjects import receive, search, subject_of
from offloader.errors import ConfigError, Refused
from offloader.model import Decision, Document, Reason
from offloader.moves.approving import Said, approve
from offloader.moves.scan import scan
from tests.scenarios.conftest import CountryPolicy
from tests.scenarios.erasure.conftest import Case


def packed(case: Case, directory: Path, *, approved_by: str = "", choice: Choice | None = None) -> Pack:
    with case.at() as site:
        subject = subject_of(site, [case.subject])
        request, found = receive(site, "access", subject), search(site, subject)
        return export(site, request, found, directory, approved_by=approved_by, choice=choice or Choice())


def sums(directory: Path) -> int:
    """What `sha256sum -c` says of a pack."""
    tool = shutil.which("sha256sum")
    assert tool
    return subprocess.run(
        [tool, "--quiet", "--strict", "-c", "manifest-sha256.txt"], cwd=directory, check=False, capture_output=True
    ).returncode


def test_a_pack_holds_every_byte_and_checks_out(case: Case, tmp_path: Path) -> None:
    """Stored documents and one that is still in the CRM are there byte for byte, and sha256sum finds them whole."""
    type_, _, name = case.subject.partition(":")
    case.house.source.crm.document("File", b"in the crm", name="../../evil <b>.txt", parents=[(type_, name)])
    with case.at() as site:
        scan(site)

    pack = packed(case, tmp_path / "pack")

    assert (pack.documents, pack.files, pack.errors) == (4, 5, [])
    files = {path.read_bytes() for path in (tmp_path / "pack").rglob("0*") if path.is_file()}
    assert files == {b"one", b"two", b"note", b"both", b"in the crm"}
    assert sums(tmp_path / "pack") == 0
    index = (tmp_path / "pack/data/index.html").read_text()
    assert "<b>.txt" not in index
    assert not (tmp_path / "evil").exists()


def test_what_shows_others_lies_apart(case: Case, tmp_path: Path) -> None:
    """The document that hangs on somebody else's record too is in the folder that somebody has to look at."""
    pack = packed(case, tmp_path / "pack")

    assert pack.review == 1
    assert [path.read_bytes() for path in (tmp_path / "pack/review/documents").iterdir()] == [b"both"]
    about = json.loads((tmp_path / "pack/review/documents.json").read_text())
    assert [each["other_records"] for each in about["documents"]] == [[case.other]]
    handed = "\n".join(path.read_text() for path in (tmp_path / "pack/data").rglob("*") if path.is_file())
    assert case.other.partition(":")[2] not in handed
    assert "lease.pdf" not in handed
    assert sums(tmp_path / "pack") == 0
    with case.at() as site:
        assert site.ledger.requests()[0].state == "open"


@pytest.mark.parametrize("given", [True, False])
def test_a_person_decides_what_shows_others(case: Case, tmp_path: Path, given: bool) -> None:
    """What somebody looked at is handed over or withheld as they say; the page says how many, then it is done."""
    names = (str(case.shared),)
    packed(case, tmp_path / "first")

    pack = packed(case, tmp_path / "pack", choice=Choice(include=names) if given else Choice(exclude=names))

    assert (pack.review, pack.withheld) == (0, 0 if given else 1)
    assert not (tmp_path / "pack/review").exists()
    bodies = {path.read_bytes() for path in (tmp_path / "pack/data/documents").iterdir()}
    assert (b"both" in bodies) is given
    page = (tmp_path / "pack/data/index.html").read_text()
    assert ("1 further documents are not in this pack" in page) is not given
    with case.at() as site:
        (request,) = site.ledger.requests()
    assert (request.state, request.subject) == ("done", {})


def test_a_spoilt_copy_is_no_part_of_a_whole_pack(case: Case, tmp_path: Path) -> None:
    """A copy that is not what was verified is left out and said; the folder does not call itself a bag."""
    case.house.de.corrupt(case.house.entry(case.mine["note"]).versions[0].copies[0].key)

    pack = packed(case, tmp_path / "pack")

    assert len(pack.errors) == 1
    assert not (tmp_path / "pack/bagit.txt").exists()
    assert (tmp_path / "pack/INCOMPLETE.txt").exists()
    assert sums(tmp_path / "pack") == 0
    with case.at() as site:
        assert site.ledger.requests()[0].state == "open"


def test_a_folder_with_something_in_it_is_refused(case: Case, tmp_path: Path) -> None:
    """A pack never goes among other files."""
    (tmp_path / "mine.txt").write_text("mine")

    with pytest.raises(ConfigError, match="not empty"):
        packed(case, tmp_path)


class Gated(CountryPolicy):
    """Wants an approval before anything is handed out."""

    def decide(self, document: Document, targets, now):  # type: ignore[no-untyped-def]
        decision = super().decide(document, targets, now)
        gate = Reason(GATE, "handing the data out needs an approval", rule="CN-05")
        return Decision(
            verdict=decision.verdict,
            reasons=(gate, *decision.reasons),
            countries=decision.countries,
            store=decision.store,
        )


def test_a_gate_wants_an_approval(case: Case, tmp_path: Path) -> None:
    """Where a rule gates the export it is refused and named, until somebody has approved that very list, once."""
    case.house.policy = Gated()
    with pytest.raises(Refused, match="CN-05") as refused:
        packed(case, tmp_path / "pack")
    assert not (tmp_path / "pack").exists()
    plan = next(word for word in str(refused.value).split() if word.startswith("P-"))
    with pytest.raises(Refused, match="nobody has approved"):
        packed(case, tmp_path / "pack", approved_by=plan)
    with case.at("carl") as site:
        approve(site, plan, Said.APPROVED, "checked")

    assert packed(case, tmp_path / "pack", approved_by=plan).documents == 3

    with pytest.raises(Refused):
        packed(case, tmp_path / "again", approved_by=plan)

"""`check` in words: what a proof means, and what can be done, for people who are no engineers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from offloader.cli import check_places
from offloader.cli.init import TEMPLATE
from offloader.cli.main import main
from offloader.countries import name_of, named
from offloader.evidence import Baseline, canonical
from offloader.model import Assurance, LocationProof, Probe, ProbeVerdict
from offloader.testing import EPOCH

PROBES = (
    Probe(id="region", question="Where is it?", answer="it is in eu-central-1 (DE)", verdict=ProbeVerdict.OK),
    Probe(
        id="replication",
        question="Are there copies?",
        answer="the permission x:Get is missing",
        verdict=ProbeVerdict.UNKNOWN,
        permissions=("x:Get",),
        remedy="Remove the rule.",
    ),
)


def proof(assurance: Assurance, *countries: str, **changes: Any) -> LocationProof:
    good = assurance in (Assurance.PROVEN, Assurance.ATTESTED)
    made = LocationProof(
        store="frankfurt",
        assurance=assurance,
        countries=frozenset(countries),
        taken=EPOCH,
        expires=EPOCH + timedelta(hours=24) if good else EPOCH,
        summary="the bucket is in eu-central-1 (DE)",
        evidence={"region": canonical({"answer": "eu-central-1", "outcome": "ok"}), "replication": "no JSON"},
        probes=PROBES,
    )
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (
            proof(Assurance.PROVEN, "DE"),
            ["in Germany, and nowhere else", "the provider itself", "until 2026-01-06 09:00 UTC", "-1 (Germany)"],
        ),
        (
            proof(Assurance.ATTESTED, "NL", "US"),
            ["in the Netherlands and the United States", "a person vouches", "The policy decides"],
        ),
        (proof(Assurance.UNPROVEN), ["is not proven", "Nothing is written", "without a usable answer: 1"]),
        (proof(Assurance.VIOLATION, "DE"), ["where they must not be", "into hands", "Nothing is written"]),
        (
            proof(Assurance.DRIFT, "DE", "FR", changes=("new among the countries: France",)),
            ["not what it was", "on 2026-01-05", "--accept frankfurt", "Nothing is written"],
        ),
    ],
    ids=lambda value: str(value.assurance) if isinstance(value, LocationProof) else "",
)
def test_the_paragraph_says_what_it_means(made: LocationProof, words: list[str]) -> None:
    """The first sentences name the countries, the basis, the end, or that nothing is written and why."""
    said = check_places.paragraph(made, Baseline.of(made), EPOCH)

    assert [word for word in words if word not in said] == []


def test_every_question_has_its_answer_and_its_remedy() -> None:
    """Below the paragraph stands each question with its answer, and for an open one what to do and what to permit."""
    said = "\n".join(check_places.lines(proof(Assurance.UNPROVEN), None, EPOCH))

    assert "ok         Where is it? It is in eu-central-1 (Germany)." in said
    assert "OPEN       Are there copies? The permission x:Get is missing." in said
    assert "What to do: Remove the rule." in said
    assert "Permissions that this question needs: x:Get" in said


def test_a_machine_gets_everything() -> None:
    """The JSON has, for each question, its raw answer, its verdict, its permissions and its remedy."""
    told = check_places.as_json(proof(Assurance.UNPROVEN), None, EPOCH)

    json.dumps(told)
    region, replication = told["probes"]
    assert region["raw"] == {"answer": "eu-central-1", "outcome": "ok"}
    assert (replication["id"], replication["verdict"], replication["raw"]) == ("replication", "unknown", "no JSON")
    assert (replication["permissions"], replication["remedy"]) == (["x:Get"], "Remove the rule.")
    assert told["usable"] is False


def test_names_of_countries() -> None:
    """Countries are named as in the rules' own table; what is no country stays as it is."""
    text = (files("offloader_policies") / "tables" / "countries.psv").read_text(encoding="utf-8")
    table = [line.split("|") for line in text.splitlines()[1:]]

    assert [name_of(code) for code, _, name, _ in table] == [name for _, _, name, _ in table]
    assert named(["US", "DE", "IE"]) == "Germany, Ireland and the United States"
    assert check_places.with_names("x (HTTP 403), y (DE FR), z (XX)") == "x (HTTP 403), y (France and Germany), z (XX)"


STORES = """
  bucket:
    type: s3
    bucket: documents
    region: eu-central-1
  copy:
    type: s3
    provider: lab
    bucket: documents
    region: eu-central-1
    endpoint_url: https://s3.lab.example
  account:
    type: azure_blob
    account_url: https://acme.blob.core.windows.net
    container: documents
    arm: {subscription: 11111111-2222-3333-4444-555555555555, resource_group: documents}
"""


def test_permissions_are_printed_ready_to_grant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without asking anybody anything, `check --permissions` prints what each store's questions need, only reading."""
    path = tmp_path / "offloader.yaml"
    path.write_text(TEMPLATE.replace("\nstores:\n", f"\nstores:{STORES}"), encoding="utf-8")

    with pytest.raises(SystemExit) as ended:
        main(["-c", str(path), "check", "--permissions", "--json"])

    assert ended.value.code == 0
    granted = json.loads(capsys.readouterr().out)["permissions"]
    assert granted.keys() == {"bucket", "copy", "account", "frankfurt"}
    assert granted["frankfurt"] is granted["copy"] is None
    actions = {action for statement in granted["bucket"]["Statement"] for action in statement["Action"]}
    assert {"s3:GetReplicationConfiguration", "kms:DescribeKey"} <= actions
    assert "s3:GetObject" not in actions
    assert granted["account"]["AssignableScopes"][0].endswith("/resourceGroups/documents")
    assert all(action.endswith(("/read", "/getInfo/action")) for action in granted["account"]["Actions"])
    assert granted["account"]["DataActions"] == []

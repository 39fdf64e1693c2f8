"""`offloader policy …` from the outside, over a ledger that was filled by a scan."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from offloader.cli.main import main
from offloader.ledger import open_ledger
from offloader.moves.scan import scan
from offloader.moves.site import Links, Site
from offloader.testing import FakeClock, MemorySource, context
from offloader_connectors.filesystem.location import mount_of

CONFIG = """\
gateway: {{url: "https://files.example.com", link_key: "env:HOME"}}
sources:
  crm: {{type: salesforce, login_url: "https://acme.my.salesforce.com", client_id: a, client_secret: "env:HOME"}}
stores:
  de: {{type: filesystem, path: de, country: DE, attested_by: me, attested_until: 2099-12-31, filesystem: "{mount}"}}
policies:
  acme: {{type: file, path: policy.yaml}}
"""
POLICY = """\
policy: acme
clauses:
  - id: large
    select: {min_size: 10 bytes}
    then: move
tests:
  - name: a large one moves
    given: {on: 2026-11-22, parents: [{type: Account, signals: {country: NL}}], stores: {de: [DE]}}
    expect: {verdict: MOVE}
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a configuration, a policy, and a ledger of five documents."""
    folder, clock = tmp_path_factory.mktemp("policy"), FakeClock()
    (folder / "offloader.yaml").write_text(CONFIG.format(mount=mount_of(str(folder)).type), encoding="utf-8")
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    source = MemorySource(now=clock.now, name="crm")
    for country, body, title in (
        ("NL", b"x" * 20, "passport jansen.pdf"),
        ("NL", b"x" * 30, "b.pdf"),
        ("DE", b"x" * 5, "c.pdf"),
        ("AF", b"x" * 40, "d.pdf"),
        ("RU", b"x" * 40, "e.pdf"),
    ):
        source.crm.document("File", body, name=title, parents=[source.crm.record("Account", country=country)])
    with open_ledger(folder / "ledger.sqlite", now=clock.now) as ledger:
        links = Links("https://files.example.com", b"key")
        scan(Site(ledger, {"crm": source}, {}, {}, links, context(folder, clock=clock)))
    return folder


@pytest.fixture
def call(house: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a policy command with --json: exit code and answer."""

    def run(*words: str, config: str = "offloader.yaml") -> tuple[int, Mapping[str, Any]]:
        with pytest.raises(SystemExit) as ended:
            main(["-c", str(house / config), "policy", *words, "--json"])
        return int(ended.value.code or 0), json.loads(capsys.readouterr().out)

    return run


def documents(house: Path) -> list[str]:
    """The references of all documents, smallest first."""
    with open_ledger(house / "ledger.sqlite", now=FakeClock().now, exclusive=False) as ledger:
        return [str(entry.document.ref) for entry in sorted(ledger.entries(), key=lambda entry: entry.document.size)]


def test_lint_names_what_is_doubtful(house: Path, call: Any) -> None:
    """A sound policy ends with 0, a doubtful one with 3, one that does not open with 2 and its line."""
    assert call("lint")[0] == 0
    (house / "doubt.yaml").write_text(POLICY.replace("large\n", "large\n", 1) + "removes: {}\napprovals: {people: 1}\n")
    assert call("lint", str(house / "doubt.yaml"))[0] == 0
    (house / "empty.yaml").write_text("policy: empty\n")
    code, answer = call("lint", str(house / "empty.yaml"))
    assert (code, answer["policies"][str(house / "empty.yaml")][0]["code"]) == (3, "moves-nothing")
    (house / "broken.yaml").write_text("policy: x\nclause: []\n")
    code, answer = call("lint", str(house / "broken.yaml"))
    assert code == 2
    assert "broken.yaml:2: clause: unknown key" in answer["message"]


def test_lint_looks_at_the_ledger_when_asked(call: Any) -> None:
    """Documents of a country of which no rule speaks are counted, with one of them."""
    code, answer = call("lint", "acme", "--ledger")

    found = [each for each in answer["policies"]["acme"] if each["code"] == "NO_RULE_COVERS"]
    assert code == 3
    assert len(found) == 1
    assert "1 documents" in found[0]["message"]
    assert "AF" in found[0]["message"]
    assert "crm/File/" in found[0]["remedy"]


def test_tests_beside_the_policy_run(house: Path, call: Any) -> None:
    """All as expected ends with 0; a difference ends with 1 and says what was expected and what came."""
    assert call("test")[:1] == (0,)
    (house / "fails.yaml").write_text(POLICY.replace("verdict: MOVE", "verdict: KEEP"))

    code, answer = call("test", str(house / "fails.yaml"))

    (result,) = answer["policies"][str(house / "fails.yaml")]
    assert (code, answer["tests"], answer["failed"]) == (1, 1, 1)
    assert result["where"] == "fails.yaml:7"
    assert result["differences"] == ["verdict: expected KEEP, got MOVE (PLACED: de is in {DE}, PROVEN)"]


def test_lint_names_what_the_configuration_lacks(house: Path, call: Any) -> None:
    """A source, a kind and a store that are not there are named with their line and the nearest name that is."""
    clause = "  - {id: c, select: {sources: [CRM], kinds: [contentdocument]}, then: move, prefer: [dee]}\n"
    (house / "names.yaml").write_text(POLICY.replace("tests:", f"{clause}tests:"))

    code, answer = call("lint", str(house / "names.yaml"))

    found = {each["code"]: each for each in answer["policies"][str(house / "names.yaml")]}
    assert code == 3
    assert found["source-unknown"]["message"] == (
        "names.yaml:6: the clause c names the source 'CRM'; offloader.yaml has no such source"
    )
    assert found["source-unknown"]["remedy"] == "did you mean crm? there are: crm"
    assert found["kind-unknown"]["remedy"].startswith("did you mean ContentDocument?")
    assert found["store-unknown"]["remedy"] == "did you mean de? there are: de"


def test_check_names_what_the_configuration_lacks(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`check` says the same of every policy, as warnings beside what it says of the CRM (here: no answer)."""
    text = (house / "offloader.yaml").read_text(encoding="utf-8").replace("acme.my.salesforce.com", "127.0.0.1:9")
    (house / "checked.yaml").write_text(text.replace("policy.yaml", "vain.yaml") + "pace: {attempts: 1}\n")
    (house / "vain.yaml").write_text(POLICY + "residency:\n  prefer: [dee]\n")

    with pytest.raises(SystemExit) as ended:
        main(["-c", str(house / "checked.yaml"), "check", "--json"])

    answer = json.loads(capsys.readouterr().out)
    assert ended.value.code == 1
    assert [each["severity"] for each in answer["sources"]["crm"]] == ["error"]
    assert [(each["severity"], each["code"], each["message"]) for each in answer["policies"]["acme"]] == [
        (
            "warning",
            "store-unknown",
            "vain.yaml:11: residency.prefer names the store 'dee'; checked.yaml has no such store",
        )
    ]


def test_a_name_of_another_policys_source_is_found(house: Path, call: Any) -> None:
    """A clause about a source that another policy is for would never apply, and lint says so."""
    text = (house / "offloader.yaml").read_text(encoding="utf-8")
    crm = text.partition("  crm: ")[2].partition("\n")[0]
    text = text.replace("stores:", f"  second: {crm}\nstores:").replace(
        "path: policy.yaml", "path: s.yaml, sources: [crm]"
    )
    (house / "two.yaml").write_text(text + "  rest: {type: residency, sources: [second], prefer: [dee]}\n")
    (house / "s.yaml").write_text(POLICY.replace("{min_size", "{sources: [second], min_size"))

    code, answer = call("lint", config="two.yaml")

    found = {
        name: [each["message"] for each in said if "unknown" in each["code"]]
        for name, said in answer["policies"].items()
    }
    assert code == 3
    assert found == {
        "acme": ["s.yaml:4: the clause large names the source 'second'; the policy is not for that source"],
        "rest": ["two.yaml: policies.rest.prefer names the store 'dee'; two.yaml has no such store"],
    }
    code, answer = call("show", "rest", "--source", "crm", config="two.yaml")
    assert (code, answer["message"]) == (2, "the source 'crm' is under the policy acme, not rest")


def test_a_file_needs_no_configuration(house: Path, call: Any) -> None:
    """Without a configuration a file is checked alone, and a note says what was not compared."""
    code, answer = call("lint", str(house / "policy.yaml"), config="none.yaml")

    assert code == 0
    assert "names-unchecked" in [each["code"] for each in answer["policies"][str(house / "policy.yaml")]]


def test_show_prints_every_value_with_its_place(house: Path, call: Any) -> None:
    """Values, defaults and the configuration's limits stand with file and line; a source sees only its clauses."""
    clause = "  - {id: other, select: {sources: [elsewhere]}, then: move}\n"
    (house / "show.yaml").write_text(POLICY.replace("tests:", f"{clause}tests:"))
    (house / "shown.yaml").write_text(
        (house / "offloader.yaml").read_text(encoding="utf-8").replace("policy.yaml", "show.yaml")
        + "limits: {documents: 7}\n"
    )

    code, whole = call("show", config="shown.yaml")
    theirs = call("show", "--source", "crm", config="shown.yaml")[1]

    values = {(each["part"], each["key"]): each for each in whole["policies"]["acme"]["values"]}
    assert code == 0
    assert values["clause large", "select.min_size"] == {
        "part": "clause large",
        "key": "select.min_size",
        "value": "10 bytes",
        "default": False,
        "origin": "show.yaml:4",
        "replaced": [],
    }
    assert (values["caps", "percent"]["default"], values["caps", "percent"]["origin"]) == (True, None)
    assert values["limits", "documents"]["origin"] == "shown.yaml:8"
    assert ("clause other", "then") in values
    assert "clause other" not in {each["part"] for each in theirs["policies"]["acme"]["values"]}
    assert call("show", "--source", "none", config="shown.yaml")[0] == 2


def test_show_reads_well(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For a person: sections, one value a line with its place, empty limits said to be none."""
    with pytest.raises(SystemExit):
        main(["-c", str(house / "offloader.yaml"), "policy", "show", "acme"])

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["clause", "large:"] in lines
    assert ["select.min_size", "10", "bytes", "policy.yaml:4"] in lines
    assert ["percent", "none", "default"] in lines
    assert ["attested", "accept", "default"] in lines


def test_explain_tells_a_documents_story(house: Path, call: Any) -> None:
    """Records, clause, rules, stores and events are told for a document that is named in any of three ways."""
    ref = documents(house)[1]
    code, answer = call("explain", ref)

    decision = answer["decision"]
    assert (code, decision["verdict"], decision["store"], decision["clauses"]) == (0, "MOVE", "de", ["large"])
    assert ["CLAUSE", "large", "policy.yaml:3"] in [[r["code"], r["rule"], r["origin"]] for r in decision["reasons"]]
    assert {"EU-01", "NL-01"} <= {reason["rule"] for reason in decision["reasons"]}
    assert answer["parents"][0]["signals"]["country"] == "NL"
    assert answer["stores"][0]["chosen"] is True
    assert answer["holds"] == []
    assert [event["what"] for event in answer["events"]] == ["seen"]
    assert call("explain", ref.rpartition("/")[2]) == (code, answer)
    assert call("explain", "crm/File/none")[0] == 2


def test_explain_says_why_a_store_was_not_chosen(house: Path, call: Any) -> None:
    """A store outside of the permitted places is named with the countries that are in the way."""
    russian = documents(house)[-1]

    answer = call("explain", russian)[1]

    assert answer["decision"]["code"] in ("NO_COMPLIANT_TARGET", "NO_RULE_COVERS")
    assert {store["why_not"] for each in documents(house)[-2:] for store in call("explain", each)[1]["stores"]} >= {
        "DE is not permitted"
    }


def test_names_are_personal_data(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Titles and file names are shown only when they are asked for."""
    shown = []
    for words in ([], ["--names"]):
        with pytest.raises(SystemExit):
            main(["-c", str(house / "offloader.yaml"), "policy", "explain", documents(house)[1], *words])
        shown.append(capsys.readouterr().out)

    assert "jansen" not in shown[0]
    assert "passport jansen.pdf" in shown[1]
    assert "What the records say:" in shown[0]


def test_diff_finds_the_smallest_example_of_each_change(house: Path, call: Any) -> None:
    """Every document is decided under both files; the smallest that changes stands beside its clause."""
    clause = "  - {id: dutch, select: {max_size: 20 bytes}, then: keep, reason: r}\n"
    (house / "new.yaml").write_text(POLICY.replace("clauses:\n", f"caps: {{percent: 0}}\nclauses:\n{clause}"))

    code, answer = call("diff", str(house / "policy.yaml"), str(house / "new.yaml"))

    assert (code, answer["documents"], answer["changed"]) == (0, 5, 2)
    changes = {(each["before"], each["after"]): each["documents"] for each in answer["changes"]}
    assert changes == {("MOVE PLACED de", "KEEP KEPT_BY_CLAUSE"): 1, ("KEEP NOT_SELECTED", "KEEP KEPT_BY_CLAUSE"): 1}
    by = {each["by"]: (each["documents"], each["example"]) for each in answer["by"]}
    assert by == {"clause dutch": (2, documents(house)[0])}
    values = {(each["part"], each["key"]): (each["old"], each["new"], each["new_origin"]) for each in answer["values"]}
    assert values["caps", "percent"] == (None, 0, "new.yaml:2")
    assert values["clause dutch", "then"] == (None, "keep", "new.yaml:4")
    again = call("diff", str(house / "policy.yaml"), str(house / "policy.yaml"))[1]
    assert (again["changed"], again["values"]) == (0, [])


def test_diff_takes_whole_configurations(house: Path, call: Any) -> None:
    """A configuration stands for the policy that it gives each source, an old residency policy too."""
    other = (
        (house / "offloader.yaml")
        .read_text(encoding="utf-8")
        .replace("type: file, path: policy.yaml", "type: residency")
    )
    (house / "other.yaml").write_text(other, encoding="utf-8")

    answer = call("diff", str(house / "offloader.yaml"), str(house / "other.yaml"))[1]

    assert answer["changed"] == 1
    assert [(each["before"], each["after"]) for each in answer["changes"]] == [("KEEP NOT_SELECTED", "MOVE PLACED de")]


def test_two_policies_for_one_source_are_refused(house: Path, call: Any) -> None:
    """The error names the source, both policies, and what to write."""
    text = (house / "offloader.yaml").read_text(encoding="utf-8") + "  again: {type: residency}\n"
    (house / "double.yaml").write_text(text, encoding="utf-8")

    code, answer = call("lint", config="double.yaml")

    assert code == 2
    assert "2 policies claim the source 'crm': acme, again" in answer["message"]
    assert "list under `sources`" in answer["message"]


def test_the_schema_is_printed(call: Any) -> None:
    """Editors get a JSON Schema that knows the keys of a policy."""
    code, answer = call("schema")

    assert code == 0
    assert {"policy", "clauses", "tests"} <= answer["schema"]["properties"].keys()

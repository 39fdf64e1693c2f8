"""Planning a purge: what goes, what goes with it, what keeps the rest."""

from __future__ import annotations

import json

import pytest

from offloader.disposition.acts import export_acts
from offloader.errors import ConfigError, Refused
from offloader.holds import Hold, Scope
from offloader.ledger import holding
from offloader.moves.scan import scan
from tests.scenarios.purge.conftest import POLICY, YOUNG, Yard


def hold(yard: Yard, scope: Scope) -> str:
    """Put a legal hold on something, as `offloader hold add` does."""
    draft = Hold(id="", matter="M", scope=scope, reason="r", freezes_moves=True, person="ann", proof="login:ann", at="")
    return holding.add(yard.directory / "ledger.sqlite", yard.clock.now(), draft, lambda _statement: "").id


def codes(yard: Yard, plan: str) -> dict[str, str]:
    return {id_: act.body["reasons"][-1][0] for id_, act in yard.acts(plan).items()}


def test_stale_records_go_with_their_children_and_the_rest_stays(yard: Yard) -> None:
    """Old closed cases go with what hangs on them, level by level; open and young ones are not even in the plan."""
    old, young, other = yard.case(), yard.case(ClosedDate=YOUNG), yard.case(Status="Open")
    comment = yard.comment(old)
    remark = yard.crm.add("Remark", {"CommentId": comment.id})

    row = yard.plan()

    acts = yard.acts(row.id)
    assert list(acts) == [old.id]
    assert [each[:2] for each in acts[old.id].body["with"]] == [["Comment", comment.id], ["Remark", remark.id]]
    assert row.totals["types"] == {"crm/Case": 1, "crm/Comment": 1, "crm/Remark": 1}
    assert row.totals["wakes"]["crm/Case"] == ["trigger CaseGone"]
    assert row.totals["clears"] == {"crm/Case": ["Case.ParentId"]}
    assert row.totals["summary"] == "1 records to purge, 2 more go with them"
    assert yard.there(old, young, other) == [True, True, True]


def test_a_child_that_forbids_it_keeps_a_record(yard: Yard) -> None:
    """A record on which something hangs that restricts its deletion stays, and so does one whose child has such."""
    case = yard.case()
    yard.crm.add("Order", {"CaseId": case.id})

    row = yard.plan()

    assert codes(yard, row.id) == {case.id: "RESTRICTED"}
    assert row.totals["acts"] == {"keep": 1}


def test_documents_that_are_not_moved_keep_a_record(yard: Yard) -> None:
    """A record goes only when the documents on it are links of ours; one whose bytes the CRM has keeps it."""
    case, other = yard.case(), yard.case()
    key = yard.source.crm.record("Case", country="DE")
    document = yard.source.crm.document("File", b"bytes", parents=[key])
    yard.crm.add("File", {"CaseId": case.id}, id=document.id)

    assert codes(yard, yard.plan().id) == {case.id: "DOCUMENTS", other.id: "OLD"}


def test_a_rule_can_refuse_to_take_children_along(yard: Yard) -> None:
    """With `children: refuse`, a record with any child stays."""
    yard.policy = POLICY + "    children: refuse\n"
    case, alone = yard.case(), yard.case()
    yard.comment(case)

    assert codes(yard, yard.plan().id) == {case.id: "CHILDREN", alone.id: "OLD"}


@pytest.mark.parametrize("on", ["record", "child", "owner", "account", "type"])
def test_a_hold_keeps_a_record(yard: Yard, on: str) -> None:
    """A hold on the record, on what goes with it, on what it belongs to, on its owner, or on its type keeps it."""
    account = yard.crm.add("Account", {"Name": "x"})
    case = yard.case(AccountId=account.id)
    comment = yard.comment(case)
    scope = {
        "record": Scope(records=(f"Case:{case.id}",)),
        "child": Scope(records=(f"Comment:{comment.id}",)),
        "owner": Scope(owners=("u1",)),
        "account": Scope(records=(f"Account:{account.id}",)),
        "type": Scope(types=("Case",)),
    }[on]
    hold(yard, scope)

    assert codes(yard, yard.plan().id) == {case.id: "HELD"}


def test_a_hold_elsewhere_keeps_nothing(yard: Yard) -> None:
    """A hold on another record, another owner and another source's records lets a record go."""
    case = yard.case()
    hold(yard, Scope(records=("Case:other",)))
    hold(yard, Scope(owners=("u2",)))
    hold(yard, Scope(types=("Case",), sources=("other",)))

    assert codes(yard, yard.plan().id) == {case.id: "OLD"}


def test_a_hold_on_a_document_keeps_the_record_that_it_hangs_on(yard: Yard) -> None:
    """A record with a held document stays, also when the hold names only the document."""
    key = yard.source.crm.record("Case", country="DE")
    document = yard.source.crm.document("File", b"bytes", parents=[key])
    case = yard.crm.add("Case", {"Status": "Closed", "ClosedDate": "2015-03-01", "Country__c": "DE"}, id=key[1])
    with yard.site() as site:
        scan(site)
    hold(yard, Scope(documents=(f"crm/File/{document.id}",)))

    assert codes(yard, yard.plan().id) == {case.id: "HELD"}


def test_an_archive_without_a_place_is_for_a_person(yard: Yard) -> None:
    """A record whose archive may live in no store is not purged, but to be looked at."""
    yard.policy = POLICY + "    categories: [health_data]\n"
    case = yard.case(Country__c="RU")

    row = yard.plan()

    assert row.totals["acts"] == {"review": 1}
    assert codes(yard, row.id)[case.id].startswith("ARCHIVE_")


def test_a_clock_that_is_behind_judges_nothing(yard: Yard) -> None:
    """While the clock is behind the newest event, no plan is made."""
    yard.case()
    yard.plan()
    yard.clock.set_back(3 * 3600)

    with pytest.raises(Refused, match="clock"):
        yard.plan()


def test_rules_that_are_not_there_are_named(yard: Yard) -> None:
    """An unknown rule, a policy without rules and an unknown source are configuration errors."""
    with pytest.raises(ConfigError, match="old-cases"):
        yard.plan("none-such")
    yard.policy = POLICY + "    sources: [nowhere]\n"
    with pytest.raises(ConfigError, match="nowhere"):
        yard.plan()
    yard.policy = "policy: empty\n"
    with pytest.raises(ConfigError, match="purge"):
        yard.plan()


def test_the_plan_as_a_file_names_everything_that_goes(yard: Yard) -> None:
    """The exported plan has a header with the kind and a line per record, with hostile ids as they are."""
    case = yard.crm.add(
        "Case", {"Status": "Closed", "ClosedDate": "2015-03-01", "Country__c": "DE"}, id="x' OR '1\ud800"
    )
    row = yard.plan()

    with yard.site() as site:
        header, line = (json.loads(each) for each in export_acts(site, row.id))

    assert header["scope"]["plan"] == "purge"
    assert line["subject"] == f"crm/Case/{case.id}"
    assert line["act"] == "delete"

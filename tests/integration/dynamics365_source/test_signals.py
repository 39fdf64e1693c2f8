"""What documents know of the records that they hang on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from offloader.model import DocumentRef
from offloader_connectors.dynamics365.source import DynamicsSource

from .bench import World
from .conftest import Open, documents


def signals(source: DynamicsSource, note: str) -> Mapping[str, str]:
    (parent,) = documents(source.scan("annotation"))[note].parents
    return parent.signals


def test_defaults_of_an_account(world: World, source: DynamicsSource) -> None:
    """An account's country, owner and business unit."""
    account = world.record(address1_country="Deutschland")
    row = world.org.get("account", account)
    assert row is not None

    assert signals(source, world.note(parent=("account", account))) == {
        "country": "Deutschland",
        "owner": world.owner,
        "business_unit": row["owningbusinessunit"][1],
    }


def test_a_country_is_found_through_lookups(world: World, source: DynamicsSource) -> None:
    """Contacts, cases, opportunities and orders have the country of the record they lead to, the nearest first."""
    french = world.record(address1_country="France")
    dane = world.record("contact", address1_country="Denmark")
    plain = world.record("contact", parentcustomerid=("account", french))
    both = world.record("contact", address1_country="Spain", parentcustomerid=("account", french))
    expected = {
        ("contact", plain): "France",
        ("contact", both): "Spain",
        ("incident", world.record("incident", title="t", customerid=("account", french))): "France",
        ("incident", world.record("incident", title="t", customerid=("contact", dane))): "Denmark",
        ("incident", world.record("incident", title="t", customerid=("contact", plain))): "France",
        ("opportunity", world.record("opportunity", name="o", parentcontactid=("contact", dane))): "Denmark",
        ("invoice", world.record("invoice", name="i", customerid=("account", french))): "France",
    }
    notes = {world.note(parent=parent): country for parent, country in expected.items()}

    found = documents(source.scan("annotation"))

    assert {note: found[note].parents[0].signals["country"] for note in notes} == notes


def test_an_activity_has_the_country_of_what_it_is_about(world: World, source: DynamicsSource) -> None:
    """A mail about a case is where the case's customer is; owner and business unit are its own."""
    account = world.record(address1_country="Austria")
    case = world.record("incident", title="t", customerid=("account", account))
    other = world.org.user(username="other@example.com", roles=["Basic User"])
    mail = world.mail(regardingobjectid=("incident", case), ownerid=("systemuser", other))
    made = world.org.add_mail_attachment(mail=("email", mail), file_name="a.pdf", body=b"x")

    (parent,) = documents(source.scan("activitymimeattachment"))[made.attachment_id].parents

    assert (parent.signals["country"], parent.signals["owner"]) == ("Austria", other)


def test_a_mail_about_nothing_says_so(world: World, source: DynamicsSource) -> None:
    """Without a record behind it a mail has no country at all: unknown, not empty."""
    mail = world.mail(regardingobjectid=None)
    made = world.org.add_mail_attachment(mail=("email", mail), file_name="a.pdf", body=b"x")

    (parent,) = documents(source.scan("activitymimeattachment"))[made.attachment_id].parents

    assert "country" not in parent.signals


def test_an_empty_country_is_told_from_an_unknown_one(world: World, source: DynamicsSource) -> None:
    """A record without a country has an empty one."""
    assert signals(source, world.note(parent=("account", world.record(address1_country=None))))["country"] == ""


def test_configured_signals(world: World, open_source: Open) -> None:
    """Any column, through any lookups, the first with a value; choices by their label; defaults can be taken away."""
    parent = world.record(name="Mother", industrycode=24)
    account = world.record(parentaccountid=("account", parent), industrycode=None, creditonhold=True)
    source = open_source(
        min_size=0,
        signals={
            "account": {
                "industry": ["industrycode", "parentaccountid/industrycode"],
                "mother": "parentaccountid/name",
                "hold": "creditonhold",
                "nothing": "new_nosuchcolumn",
                "country": [],
            },
            "*": {"business_unit": [], "unit": "owningbusinessunit/name"},
        },
    )
    found = dict(signals(source, world.note(parent=("account", account))))
    units = [str(row["name"]) for row in world.org.rows("businessunit")]

    assert found.pop("unit") in units
    assert found == {"industry": "Legal", "mother": "Mother", "hold": "Yes", "nothing": "", "owner": world.owner}


def test_a_circle_of_records_ends(world: World, open_source: Open) -> None:
    """Records that lead to each other do not keep a scan from ending."""
    first, second = world.record(), world.record()
    world.org.update("account", first, {"parentaccountid": ("account", second)})
    world.org.update("account", second, {"parentaccountid": ("account", first), "name": "second"})
    path = "/".join(["parentaccountid"] * 7 + ["name"])
    source = open_source(min_size=0, signals={"account": {"far": path}})

    assert signals(source, world.note(parent=("account", first)))["far"] == "second"


def test_parents_that_may_not_be_seen_are_unknown(world: World, source: DynamicsSource) -> None:
    """A record that the application user cannot read has no signals, and the scan says what it hides."""
    note = world.note()
    user = world.org.get("systemuser", world.org.integration_user)
    assert user is not None
    world.org.user(username=str(user["domainname"]), roles=["prvReadNote", "prvReadUser", "prvReadOrganization"])

    assert dict(signals(source, note)) == {}


def test_documents_that_stay_cost_nothing(world: World, source: DynamicsSource) -> None:
    """Nothing is read of the records of documents that must stay."""
    page = world.org.insert("adx_webfile", {"adx_name": "theme.css"})
    world.note(parent=("adx_webfile", page))

    documents(source.scan("annotation"))

    assert not [name for name in world.emulator.counters.inner if name in ("list.adx_webfile", "metadata")]


@pytest.mark.parametrize("count", [1, 40])
def test_hops_not_records_cost_requests(world: World, source: DynamicsSource, count: int) -> None:
    """However many records and tables there are, each hop is one request, and the columns of all tables are one."""
    accounts = [world.record(address1_country="France") for _ in range(count)]
    for number in range(count):
        case = world.record("incident", title="t", customerid=("account", accounts[number]))
        task = world.record("task", subject="t", regardingobjectid=("incident", case))
        world.note(parent=("task", task))
        world.note(parent=("contact", world.record("contact", parentcustomerid=("account", accounts[number]))))
    world.reset_counters()

    found = documents(source.scan("annotation"))

    assert {each.parents[0].signals["country"] for each in found.values()} == {"France"}
    # the page with the privileges; the columns of all tables; task and contact; incident and account
    assert world.calls()["batch"] == 4
    assert world.calls()["metadata"] == 1


def test_fetch_reads_signals_too(world: World, source: DynamicsSource) -> None:
    """A document read afresh has the same signals as a listed one."""
    note = world.note()
    fetched: Any = source.fetch([DocumentRef("crm", "annotation", note)])[0]

    assert fetched == documents(source.scan("annotation"))[note]
    assert fetched.parents[0].signals["country"] == "DE"

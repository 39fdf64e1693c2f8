"""OData lists over the environment's rows: $select, $filter, $orderby, $top, $count, $expand, $apply."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from offloader_connectors.dynamics365.emulator import query
from offloader_connectors.dynamics365.emulator.errors import DataverseError
from offloader_connectors.dynamics365.emulator.render import LazyText
from tests.integration.dynamics365_emulator.data.conftest import NOON, Plain, encoded, refusal

EVERYTHING = 'odata.include-annotations="*"'


def test_row_has_etag_key_and_what_was_selected(plain: Plain) -> None:
    """A row carries its etag, the selected columns and the primary key, and nothing else."""
    note = plain.note(parent=("account", plain.account()))
    (row,) = plain.ask("annotation", select="filename,_objectid_value")["value"]
    version = (plain.org.get("annotation", note) or {})["versionnumber"]
    assert row["@odata.etag"] == f'W/"{version}"'
    assert list(row) == ["@odata.etag", "filename", "_objectid_value", "annotationid"]


def test_key_position_is_a_switch(plain: Plain) -> None:
    """With the switch, an unselected primary key comes before the other columns."""
    plain.note()
    plain.set(key_position="first")
    assert list(plain.ask("annotation", select="filename")["value"][0]) == ["@odata.etag", "annotationid", "filename"]


def test_without_select_all_columns_come_with_the_body(plain: Plain) -> None:
    """Nobody who leaves out $select is spared the bodies."""
    plain.note(b"hello")
    (row,) = plain.ask("annotation")["value"]
    assert {"subject", "notetext", "isdocument", "_ownerid_value", "versionnumber"} <= set(row)
    assert isinstance(row["documentbody"], LazyText)
    assert b"".join(plain.org.chunks(row["documentbody"].ref)) == b"hello"


@pytest.mark.parametrize("name", ["nonsense", "objectid", "Filename"])
def test_unknown_column_is_refused(plain: Plain, name: str) -> None:
    """A name that is no property (a lookup is only known as `_x_value`, case counts) is a 400."""
    with pytest.raises(DataverseError, match=f"'{name}' on type 'Microsoft.Dynamics.CRM.annotation'") as caught:
        plain.ask("annotation", select=name)
    assert refusal(caught) == (400, "0x80060888")


@pytest.mark.parametrize("name", ["createdon", "modifiedon"])
def test_mail_attachments_have_no_dates(plain: Plain, name: str) -> None:
    """activitymimeattachment has neither createdon nor modifiedon, to select or to filter."""
    text = f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.activitymimeattachment'."
    with pytest.raises(DataverseError) as caught:
        plain.ask("activitymimeattachment", select=name)
    assert caught.value.message == text
    with pytest.raises(DataverseError):
        plain.ask("activitymimeattachment", filter=f"{name} gt 2020-01-01T00:00:00Z")


def _shipments(plain: Plain) -> None:
    for number, (name, weight, urgent, mode, due) in enumerate(
        [
            ("Alpha", 1.5, True, 100000000, "2026-01-01"),
            ("beta", 2.5, False, 100000001, "2026-02-01"),
            ("Gamma's", None, False, 100000001, "2026-03-01"),
        ]
    ):
        fields = {"new_name": name, "new_weight": weight, "new_urgent": urgent, "new_mode": mode, "new_due": due}
        plain.org.insert("new_shipment", {**fields, "new_number": str(number)})


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("new_name eq 'ALPHA'", ["Alpha"]),
        ("new_name ne 'alpha'", ["beta", "Gamma's"]),
        ("new_name eq 'gamma''s'", ["Gamma's"]),
        ("contains(new_name,'A') and not (new_urgent eq true)", ["beta", "Gamma's"]),
        ("startswith(new_name,'be') or endswith(new_name,'S')", ["beta", "Gamma's"]),
        ("new_weight gt 1.5", ["beta"]),
        ("new_weight le 2.5 and new_weight ge 1.5", ["Alpha", "beta"]),
        ("new_weight eq null", ["Gamma's"]),
        ("null ne new_weight", ["Alpha", "beta"]),
        ("new_mode eq 100000001 and new_urgent eq false", ["beta", "Gamma's"]),
        ("new_due lt 2026-02-01", ["Alpha"]),
        ("new_weight ge new_weight", ["Alpha", "beta"]),
        ("createdon ne modifiedon", []),
        ("createdon le 2026-03-01T12:00:00.000Z and new_urgent", ["Alpha"]),
        ("new_name eq 'x' or new_name eq 'beta' and new_urgent eq false", ["beta"]),
        ('Microsoft.Dynamics.CRM.In(PropertyName=\'new_number\',PropertyValues=["0","2"])', ["Alpha", "Gamma's"]),
        ('Microsoft.Dynamics.CRM.NotIn(PropertyName=\'new_number\',PropertyValues=["0","2"])', ["beta"]),
        ("Microsoft.Dynamics.CRM.On(PropertyName='new_due',PropertyValue='2026-02-01')", ["beta"]),
        ("Microsoft.Dynamics.CRM.OnOrAfter(PropertyName='new_due',PropertyValue='2026-02-01')", ["beta", "Gamma's"]),
        ("Microsoft.Dynamics.CRM.LastXDays(PropertyName='new_due',PropertyValue=30)", ["beta", "Gamma's"]),
        ('Microsoft.Dynamics.CRM.Between(PropertyName=\'new_weight\',PropertyValues=["1","2"])', ["Alpha"]),
    ],
)
def test_filter(plain: Plain, where: str, found: list[str]) -> None:
    """Filters mean what OData and the query functions say; text compares without regard to case."""
    _shipments(plain)
    assert sorted(plain.values("new_shipment", "new_name", filter=where), key=str.lower) == found


@pytest.mark.parametrize(
    "where",
    [
        "new_name eq",
        "new_name eq 'a",
        "new_nmae eq 'a'",
        "new_urgent eq 'yes'",
        "new_due gt 'soon'",
        "tolower(new_name) eq 'a'",
        "new_name in ('a','b')",
        "(new_name eq 'a'",
        "Microsoft.Dynamics.CRM.Nearly(PropertyName='new_name',PropertyValue='a')",
    ],
)
def test_bad_filter(plain: Plain, where: str) -> None:
    """A filter that cannot be understood is a 400."""
    with pytest.raises(DataverseError) as caught:
        plain.ask("new_shipment", filter=where)
    assert caught.value.status == 400


def test_mail_text_is_not_filterable(plain: Plain) -> None:
    """The HTML of a mail may not be filtered."""
    plain.mail(description="<p>x</p>")
    with pytest.raises(DataverseError):
        plain.ask("email", filter="contains(description,'x')")


def test_body_can_only_be_compared_with_null(plain: Plain) -> None:
    """`documentbody ne null` finds the notes with a file; any other condition on a body is refused."""
    plain.note(name="with.pdf")
    plain.org.insert("annotation", {"filename": "without"})
    assert plain.values("annotation", "filename", filter="documentbody ne null") == ["with.pdf"]
    with pytest.raises(DataverseError):
        plain.ask("annotation", filter="documentbody eq 'aGVsbG8='")


def test_in_takes_both_forms_and_forgets_missing_ids(plain: Plain) -> None:
    """In() works in the URL and through aliases; ids that are not there are silently absent."""
    ids = [plain.note() for _ in range(3)]
    asked = json.dumps([*ids[:2], "00000000-0000-0000-0000-000000000001"])
    direct = f"Microsoft.Dynamics.CRM.In(PropertyName='annotationid',PropertyValues={asked})"
    aliased = "Microsoft.Dynamics.CRM.In(PropertyName=@p1,PropertyValues=@p2)"
    assert set(plain.values("annotation", "annotationid", filter=direct)) == set(ids[:2])
    found = plain.values("annotation", "annotationid", filter=aliased, **{"@p1": "'annotationid'", "@p2": asked})
    assert set(found) == set(ids[:2])


def test_in_with_single_quotes_is_a_switch(plain: Plain) -> None:
    """`['…']` is taken, unless the environment is told to refuse it."""
    note = plain.note()
    where = f"Microsoft.Dynamics.CRM.In(PropertyName='annotationid',PropertyValues=['{note}'])"
    assert plain.values("annotation", "annotationid", filter=where) == [note]
    plain.set(single_quoted_in=False)
    with pytest.raises(DataverseError):
        plain.ask("annotation", filter=where)


def test_in_goes_by_lookup(plain: Plain) -> None:
    """In() finds rows by the record that they hang on."""
    accounts = [plain.account(f"A{number}") for number in range(3)]
    notes = [plain.note(parent=("account", account)) for account in accounts]
    values = json.dumps(accounts[1:])
    where = f"Microsoft.Dynamics.CRM.In(PropertyName='objectid',PropertyValues={values})"
    assert set(plain.values("annotation", "annotationid", filter=where)) == set(notes[1:])


def test_filter_and_expand_through_a_lookup(plain: Plain) -> None:
    """A path leads through a lookup, also one to several tables; rows that lead elsewhere have nothing there."""
    mail, other = plain.mail(statecode=1, statuscode=3), plain.mail()
    wanted, _ = plain.attach(mail), plain.attach(other)
    template = plain.org.insert("template", {"title": "t"})
    plain.org.add_mail_attachment(mail=("template", template), file_name="t.pdf", body=b"t")
    where = "objectid_email/statecode eq 1"
    expand = "objectid_email($select=statuscode),attachmentid($select=filename,body)"
    (row,) = plain.ask("activitymimeattachment", select="filename", filter=where, expand=expand)["value"]
    assert row["activitymimeattachmentid"] == wanted.id
    assert row["objectid_email"]["statuscode"] == 3
    assert b"".join(plain.org.chunks(row["attachmentid"]["body"].ref)) == b"hello"
    rest = plain.ask("activitymimeattachment", expand="objectid_email($select=subject)", filter="filename eq 't.pdf'")
    assert rest["value"][0]["objectid_email"] is None


def test_polymorphic_paths_are_a_switch(plain: Plain) -> None:
    """With the switch, paths through lookups to several tables are refused; lookups to one table are not."""
    plain.set(polymorphic_paths=False)
    plain.attach(plain.mail())
    with pytest.raises(DataverseError):
        plain.ask("activitymimeattachment", filter="objectid_email/statecode eq 1")
    with pytest.raises(DataverseError):
        plain.ask("activitymimeattachment", expand="objectid_email($select=statecode)")
    assert plain.values("activitymimeattachment", "filename", filter="attachmentid/filename eq 'm.pdf'") == ["m.pdf"]


def test_expand_of_a_collection(plain: Plain) -> None:
    """A collection is expanded with its own filter, order and limit."""
    account = plain.account()
    for name in ("b.pdf", "a.pdf", "c.txt"):
        plain.note(parent=("account", account), name=name)
    expand = "Account_Annotation($select=filename;$filter=endswith(filename,'pdf');$orderby=filename;$top=1)"
    (row,) = plain.ask("account", select="name", expand=expand)["value"]
    assert [note["filename"] for note in row["Account_Annotation"]] == ["a.pdf"]


def test_any_and_all(plain: Plain) -> None:
    """A condition on the rows of a collection."""
    with_note, without = plain.account("with"), plain.account("without")
    plain.note(parent=("account", with_note))
    assert plain.values("account", "accountid", filter="Account_Annotation/any(n:n/filesize gt 0)") == [with_note]
    assert plain.values("account", "accountid", filter="not Account_Annotation/any()") == [without]


def test_mails_list_their_attachments_through_the_activity(plain: Plain) -> None:
    """A mail has the collection that activities in general have."""
    mail = plain.mail()
    row = plain.attach(mail)
    found = plain.one("email", mail, expand="activity_pointer_activity_mime_attachment($select=filename)")
    assert [one["activitymimeattachmentid"] for one in found["activity_pointer_activity_mime_attachment"]] == [row.id]


def test_orderby(plain: Plain) -> None:
    """Rows come in the asked order, nothing first, ties by the primary key; a lookup is ordered by name."""
    _shipments(plain)
    assert plain.values("new_shipment", "new_name", orderby="new_weight") == ["Gamma's", "Alpha", "beta"]
    by_two = plain.values("new_shipment", "new_name", orderby="new_mode desc,new_name desc")
    assert by_two == ["Gamma's", "beta", "Alpha"]
    for name in ("zeta", "Eta"):
        plain.note(parent=("account", plain.account(name)), name=f"{name}.pdf")
    assert plain.values("annotation", "filename", orderby="_objectid_value") == ["Eta.pdf", "zeta.pdf"]
    assert plain.values("annotation", "filename", orderby="objectid_account/name desc") == ["zeta.pdf", "Eta.pdf"]


def test_ids_sort_as_the_database_compares_them(plain: Plain) -> None:
    """Unique identifiers sort by their last group first, unless the environment is told to sort text."""
    low, high = "ffffffff-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
    for record in (high, low):
        plain.org.insert("annotation", {"subject": "x"}, id=record)
    assert plain.values("annotation", "annotationid", orderby="annotationid") == [low, high]
    plain.set(guid_order="text")
    plain.note()
    assert plain.values("annotation", "annotationid", orderby="annotationid")[-1] == low


def test_annotations(plain: Plain) -> None:
    """With include-annotations a row says what its values look like and where its lookups lead."""
    account = plain.account("Acme", revenue=1234.5)
    plain.note(parent=("account", account))
    (row,) = plain.ask("annotation", EVERYTHING, select="_objectid_value,isdocument,createdon")["value"]
    assert row["_objectid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "account"
    assert row["_objectid_value@Microsoft.Dynamics.CRM.associatednavigationproperty"] == "objectid_account"
    assert row["_objectid_value@OData.Community.Display.V1.FormattedValue"] == "Acme"
    assert row["isdocument@OData.Community.Display.V1.FormattedValue"] == "Yes"
    assert row["createdon@OData.Community.Display.V1.FormattedValue"] == "3/1/2026 12:00 PM"
    (bare,) = plain.ask("annotation", "odata.include-annotations=Microsoft.Dynamics.CRM.lookuplogicalname")["value"]
    assert {name.partition("@")[2] for name in bare if "@" in name} == {
        "odata.etag",
        "Microsoft.Dynamics.CRM.lookuplogicalname",
    }


def test_context_names_what_was_selected(plain: Plain) -> None:
    """The context of a list and of a row, with and without $select and $expand."""
    note = plain.note()
    base = f"{plain.org.root}$metadata#annotations"
    assert plain.ask("annotation")["@odata.context"] == base
    assert plain.ask("annotation", select="filename")["@odata.context"] == f"{base}(filename)"
    selected = plain.one("annotation", note, select="filename", expand="ownerid($select=fullname)")
    assert selected["@odata.context"] == f"{base}(filename,ownerid(fullname))/$entity"


def test_count_is_capped(plain: Plain) -> None:
    """$count=true says at most the cap, and whether there are more."""
    plain.set(count_cap=3)
    for _ in range(4):
        plain.note()
    answer = plain.ask("annotation", EVERYTHING, count="true", top="1", select="filename")
    assert answer["@odata.count"] == 3
    assert answer["@Microsoft.Dynamics.CRM.totalrecordcount"] == 3
    assert answer["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"] is True
    assert plain.ask("annotation", EVERYTHING)["@Microsoft.Dynamics.CRM.totalrecordcount"] == -1


def test_skip_is_not_supported(plain: Plain) -> None:
    """$skip, and query options that the platform does not have, are a 400."""
    for name in ("skip", "search", "nonsense"):
        with pytest.raises(DataverseError) as caught:
            plain.ask("annotation", **{name: "1"})
        assert caught.value.status == 400


def test_aggregates(plain: Plain) -> None:
    """$apply filters, groups and adds up."""
    for parent, size in (("account", 3), ("account", 6), ("contact", 9)):
        record = plain.account() if parent == "account" else plain.org.insert("contact", {"lastname": "M"})
        plain.note(bytes(size), parent=(parent, record))
    plain.org.insert("annotation", {"subject": "no file"})
    apply = (
        "filter(isdocument eq true)/groupby((objecttypecode),aggregate(filesize with sum as total,$count as n,"
        "filesize with max as most))"
    )
    found = {row.pop("objecttypecode"): row for row in plain.ask("annotation", apply=apply)["value"]}
    assert found == {"account": {"total": 9, "n": 2, "most": 6}, "contact": {"total": 9, "n": 1, "most": 9}}
    (whole,) = plain.ask("annotation", apply="aggregate($count as n,filesize with average as mean)")["value"]
    assert whole == {"n": 4, "mean": 6}


def test_aggregates_over_too_many_rows(plain: Plain) -> None:
    """An aggregate over more rows than the cap is refused."""
    plain.set(aggregate_cap=2)
    for _ in range(3):
        plain.note()
    with pytest.raises(DataverseError, match="AggregateQueryRecordLimit") as caught:
        plain.ask("annotation", apply="aggregate($count as n)")
    assert refusal(caught) == (400, "0x8004e023")


def test_rows_that_the_caller_may_not_read_are_absent(plain: Plain) -> None:
    """A list leaves out what the caller may not read, also from its count."""
    seen, hidden = plain.note(), plain.note()

    class Half:
        user_id = plain.org.integration_user

        def may_read(self, table: str, row: dict[str, object]) -> bool:
            return row.get("annotationid") != hidden

        def check(self, right: str, table: str, row: object = None) -> None:
            raise DataverseError(403, "0x80040220", "no")

    answer = query.records(plain.org, Half(), "annotation", {"$count": "true"})  # type: ignore[arg-type]
    assert [row["annotationid"] for row in answer["value"]] == [seen]
    assert answer["@odata.count"] == 1


def test_foreign_plugin_serves_other_bytes(plain: Plain) -> None:
    """A foreign plug-in on Retrieve answers with other bytes than filesize says, until the body is changed."""
    note = plain.note(b"stub")
    plain.org.serve_foreign("annotation", note, b"a much longer body from elsewhere")
    row = plain.one("annotation", note, select="documentbody,filesize")
    assert row["filesize"] == 6
    assert b"".join(plain.org.chunks(row["documentbody"].ref)) == b"a much longer body from elsewhere"
    plain.change("annotation", note, documentbody=encoded(b"ours"))
    again = plain.one("annotation", note, select="documentbody")["documentbody"]
    assert b"".join(plain.org.chunks(again.ref)) == b"ours"


def _fetch(plain: Plain, text: str, table: str = "annotation", prefer: str = EVERYTHING) -> dict[str, Any]:
    return plain.ask(table, prefer, fetchXml=text)


def test_fetchxml_joins_and_filters(plain: Plain) -> None:
    """FetchXML finds attachments of completed mails by a link, with the mail's column under its alias."""
    done, draft = plain.mail(statecode=1, statuscode=3, subject="done"), plain.mail()
    wanted, _ = plain.attach(done), plain.attach(draft)
    text = """<fetch><entity name="activitymimeattachment"><attribute name="filename"/>
      <filter><condition attribute="filesize" operator="gt" value="0"/></filter>
      <link-entity name="email" from="activityid" to="objectid" alias="m">
        <attribute name="subject"/><filter><condition attribute="statecode" operator="eq" value="1"/></filter>
      </link-entity></entity></fetch>"""
    (row,) = _fetch(plain, text, "activitymimeattachment")["value"]
    assert row["activitymimeattachmentid"] == wanted.id
    assert row["m.subject"] == "done"


def test_fetchxml_outer_join_order_and_operators(plain: Plain) -> None:
    """An outer link keeps rows without a match; like, in and null conditions work."""
    account = plain.account("Acme")
    for name, parent in (("b.pdf", ("account", account)), ("a.pdf", None), ("c.txt", None)):
        plain.note(parent=parent, name=name)
    text = """<fetch><entity name="annotation"><attribute name="filename"/>
      <order attribute="filename" descending="true"/>
      <filter type="or"><condition attribute="filename" operator="like" value="%.PDF"/>
      <condition attribute="filename" operator="in"><value>nothing</value></condition></filter>
      <link-entity name="account" from="accountid" to="objectid" link-type="outer" alias="a"><attribute name="name"/>
      </link-entity></entity></fetch>"""
    rows = _fetch(plain, text)["value"]
    assert [(row["filename"], row.get("a.name")) for row in rows] == [("b.pdf", "Acme"), ("a.pdf", None)]


def test_fetchxml_pages_with_a_cookie(plain: Plain) -> None:
    """The answer says whether there is more, and hands out a doubly encoded cookie for the next page."""
    for _ in range(3):
        plain.note()
    head = '<fetch count="2" page="{}"><entity name="annotation"><attribute name="filename"/></entity></fetch>'
    first = _fetch(plain, head.format(1))
    assert first["@Microsoft.Dynamics.CRM.morerecords"] is True
    assert "%253ccookie" in str(first["@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"]).lower()
    second = _fetch(plain, head.format(2))
    assert second["@Microsoft.Dynamics.CRM.morerecords"] is False
    ids = [row["annotationid"] for page in (first, second) for row in page["value"]]
    assert len(set(ids)) == 3
    with pytest.raises(DataverseError) as caught:
        _fetch(plain, '<fetch paging-cookie="nonsense"><entity name="annotation"/></fetch>')
    assert refusal(caught) == (400, "0x8004112a")


def test_fetchxml_aggregates(plain: Plain) -> None:
    """FetchXML counts and adds up by group."""
    for size in (3, 6):
        plain.note(bytes(size), parent=("account", plain.account()))
    text = """<fetch aggregate="true"><entity name="annotation">
      <attribute name="objecttypecode" groupby="true" alias="t"/>
      <attribute name="annotationid" aggregate="count" alias="n"/><attribute name="filesize" aggregate="sum" alias="s"/>
      </entity></fetch>"""
    (row,) = _fetch(plain, text, prefer="")["value"]
    assert row == {"t": "account", "n": 2, "s": 9}


def test_fetchxml_reads_the_bin_and_what_is_retained(plain: Plain) -> None:
    """Deleted rows are listed from the bin, retained ones from retention, and neither from the table."""
    plain.set(recycle_bin=True)
    kept, gone, moved = plain.note(), plain.note(), plain.note()
    plain.remove("annotation", gone)
    plain.org.retain("annotation", moved)
    text = '<fetch{}><entity name="annotation"><attribute name="filename"/></entity></fetch>'

    def ids(source: str) -> list[str]:
        return [row["annotationid"] for row in _fetch(plain, text.format(source))["value"]]

    assert ids("") == [kept]
    assert ids(' datasource="bin"') == [gone]
    assert ids(' datasource="retained"') == [moved]


@pytest.mark.parametrize(
    "text",
    [
        "<fetch",
        '<!DOCTYPE x [<!ENTITY a "b">]><fetch><entity name="annotation"/></fetch>',
        '<fetch><entity name="account"/></fetch>',
        '<fetch><entity name="annotation"><attribute name="nonsense"/></entity></fetch>',
        '<fetch><entity name="annotation"><link-entity name="nonsense"/></entity></fetch>',
    ],
)
def test_bad_fetchxml(plain: Plain, text: str) -> None:
    """FetchXML that is no XML, declares entities, or names what is not there is a 400."""
    with pytest.raises(DataverseError) as caught:
        _fetch(plain, text)
    assert caught.value.status == 400


def test_an_index_finds_what_a_scan_finds(plain: Plain) -> None:
    """Conditions that an index answers give the same rows as the same condition hidden from the index."""
    dice = random.Random(7)
    accounts = [plain.account(f"A{number}") for number in range(5)]
    for number in range(60):
        plain.note(bytes(dice.randrange(9)), parent=("account", dice.choice(accounts)), name=f"n{number % 7}.pdf")
    some = plain.values("annotation", "annotationid", top="20")
    for where in (
        f"_objectid_value eq {accounts[0]}",
        f"Microsoft.Dynamics.CRM.In(PropertyName='annotationid',PropertyValues={json.dumps(some)})",
        f"annotationid eq {some[0]} or annotationid eq {some[1]}",
        f"versionnumber gt {plain.org.store.version - 30} and filename eq 'n3.pdf'",
        f"createdon le {NOON.isoformat().replace('+00:00', 'Z')} and filename eq 'n3.pdf'",
        f"createdon ge {NOON.isoformat().replace('+00:00', 'Z')} and _objectid_value eq {accounts[1]}",
    ):
        fast = plain.values("annotation", "annotationid", filter=where)
        slow = plain.values("annotation", "annotationid", filter=f"not (not ({where}))")
        assert fast == slow
        assert fast

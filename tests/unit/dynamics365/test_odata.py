"""Addresses of the Web API: nothing that a user or a CRM says can change what is asked."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offloader.errors import Permanent
from offloader_connectors.dynamics365 import odata

ID = "6f1d2c3b-0000-4000-8000-0123456789ab"


@given(st.text(max_size=40))
def test_a_literal_stays_one_literal(text: str) -> None:
    """Whatever the text, the encoded literal is one quoted string with doubled quotes and no bare & or #."""
    encoded = odata.literal(text.encode("utf-8", "replace").decode())
    assert not set(encoded) & set("&#?+ '\"")
    decoded = unquote(encoded)
    assert decoded.startswith("'")
    assert decoded.endswith("'")
    assert decoded[1:-1].replace("''", "").count("'") == 0


@pytest.mark.parametrize(
    "text", ["", "x", ID + "'", "{" + ID + "}", ID.replace("-", ""), f"{ID}) or (1 eq 1", ID[:-1] + "١", ID + "\n"]
)
def test_only_ids_are_ids(text: str) -> None:
    """Anything but a bare GUID is refused before it reaches an address."""
    assert not odata.is_guid(text)
    with pytest.raises(Permanent):
        odata.guid(text)
    with pytest.raises(Permanent):
        odata.in_list("annotationid", [text])


def test_ids_come_in_lower_case() -> None:
    """The same id in capitals is the same id."""
    assert odata.guid(ID.upper()) == ID


def test_in_list_is_the_documented_form() -> None:
    """Ids stand in a JSON array with double quotes; the whole is one filter."""
    found = unquote(odata.in_list("annotationid", [ID, ID.upper()]))

    assert found.startswith("Microsoft.Dynamics.CRM.In(PropertyName='annotationid',PropertyValues=[")
    values = found.partition("PropertyValues=")[2].removesuffix(")")
    assert json.loads(values) == [ID, ID]


def test_the_longest_list_fits_an_address() -> None:
    """700 ids with select and order stay below 32,768 characters; more are refused, and none at all too."""
    ids = [f"{number:08x}-0000-4000-8000-0123456789ab" for number in range(odata.IDS_PER_LIST)]
    path = odata.select("activitymimeattachments", ["x" * 30] * 12, filter=odata.in_list("y" * 40, ids), orderby="z")

    assert len("https://a-rather-long-name.crm4.dynamics.com/api/data/v9.2/" + path) < 32_768
    with pytest.raises(Permanent):
        odata.in_list("annotationid", [*ids, ID])
    with pytest.raises(Permanent):
        odata.in_list("annotationid", [])


def test_a_query_says_what_was_asked() -> None:
    """Select, filter, order and top can be read back from the path."""
    path = odata.select(
        "annotations",
        ["annotationid", "_objectid_value"],
        filter=odata.both(odata.encode("isdocument eq true"), "", odata.encode("versionnumber gt 5")),
        orderby="versionnumber desc",
        top=3,
    )

    assert " " not in path
    assert parse_qs(urlsplit(path).query) == {
        "$select": ["annotationid,_objectid_value"],
        "$filter": ["isdocument eq true and versionnumber gt 5"],
        "$orderby": ["versionnumber desc"],
        "$top": ["3"],
    }


@pytest.mark.parametrize("name", ["", "a b", "a'b", "a/b", "a)", "1a", "é", "a\n"])
def test_only_names_are_names(name: str) -> None:
    """What cannot be a table or a column never reaches an address."""
    with pytest.raises(Permanent):
        odata.select(name, ["x"])
    with pytest.raises(Permanent):
        odata.select("annotations", [name])


def test_rows_are_addressed_by_id() -> None:
    """A row's path is its set and its id."""
    assert odata.record("annotations", ID.upper()) == f"annotations({ID})"

"""The SOQL parser by itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offloader_connectors.salesforce.emulator.errors import SalesforceError
from offloader_connectors.salesforce.emulator.soql import (
    Call,
    Compare,
    Expression,
    Joined,
    Key,
    Literal,
    Negated,
    Path,
    Query,
    Selected,
    Within,
    parse,
)

_KEYWORDS = {
    *("select", "from", "where", "and", "or", "not", "in", "like", "order", "group", "by", "limit", "offset", "having"),
    *("for", "all", "using", "null", "true", "false", "includes", "excludes", "asc", "desc", "nulls", "typeof"),
    *("today", "yesterday", "tomorrow"),
}
names = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name.lower() not in _KEYWORDS)
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: Path(tuple(parts)))
literals = st.one_of(
    st.text(max_size=12).map(lambda text: Literal("string", text)),
    st.integers(-(10**9), 10**9).map(lambda number: Literal("number", number)),
    st.booleans().map(lambda value: Literal("boolean", value)),
    st.just(Literal("null", None)),
    st.just(Literal("datetime", "2026-01-01T00:00:00Z")),
    st.just(Literal("date", "2026-01-01")),
    st.just(Literal("date_literal", "LAST_N_DAYS:365")),
)
compares = st.builds(Compare, paths, st.sampled_from(["=", "!=", "<", ">", "<=", ">=", "LIKE"]), literals)
withins = st.builds(
    Within, paths, st.sampled_from(["IN", "NOT IN"]), st.lists(literals, min_size=1, max_size=4).map(tuple)
)


def _joined(parts: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    several = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(Joined, st.sampled_from(["AND", "OR"]), several), st.builds(Negated, parts))


expressions = st.recursive(st.one_of(compares, withins), _joined, max_leaves=6)
queries = st.builds(
    Query,
    items=st.lists(st.builds(Selected, paths), min_size=1, max_size=4).map(tuple),
    name=names,
    where=st.none() | expressions,
    order=st.lists(st.builds(Key, paths, st.booleans(), st.sampled_from([None, True, False])), max_size=2).map(tuple),
    limit=st.none() | st.integers(0, 10**6),
    offset=st.none() | st.integers(0, 2000),
)


@settings(max_examples=300, deadline=None)
@given(queries)
def test_a_query_written_out_reads_back_the_same(query: Query) -> None:
    """parse(str(query)) is the query, whatever its strings hold."""
    assert parse(str(query)) == query


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("select id from account", "SELECT id FROM account"),
        ("SELECT Id FROM Order ORDER BY Id", "SELECT Id FROM Order ORDER BY Id"),
        ("SELECT Id FROM Group WHERE Name='x'", "SELECT Id FROM Group WHERE Name = 'x'"),
        ("SELECT a.Id FROM Account a", "SELECT a.Id FROM Account a"),
        ("SELECT Id FROM A USING SCOPE mine WHERE b<>1", "SELECT Id FROM A WHERE b != 1"),
        ("SELECT COUNT() FROM A", "SELECT COUNT() FROM A"),
        ("SELECT Name n, MAX(Amount) m FROM A GROUP BY Name", "SELECT Name n, MAX(Amount) m FROM A GROUP BY Name"),
        ("SELECT Id,(SELECT Id FROM Contacts LIMIT 1) FROM A", "SELECT Id, (SELECT Id FROM Contacts LIMIT 1) FROM A"),
        ("SELECT Id FROM A WHERE x IN ( 'a' ,'b\\'c' )", "SELECT Id FROM A WHERE x IN ('a', 'b\\'c')"),
        ("SELECT Id FROM A WHERE a=1 AND (b=2 OR NOT c=3)", "SELECT Id FROM A WHERE a = 1 AND (b = 2 OR NOT (c = 3))"),
        (
            "SELECT Id FROM A WHERE d > 2026-01-01T00:00:00+01:00",
            "SELECT Id FROM A WHERE d > 2026-01-01T00:00:00+01:00",
        ),
        ("SELECT Id FROM A WHERE p INCLUDES ('a;b') FOR VIEW", "SELECT Id FROM A WHERE p INCLUDES ('a;b')"),
        ("SELECT Id FROM A WHERE n = '\\u0041\\n' ALL ROWS", "SELECT Id FROM A WHERE n = 'A\\n'"),
    ],
)
def test_queries_that_are_understood(text: str, written: str) -> None:
    """Keywords in any case, reserved words as names where that is clear, escapes, aliases."""
    assert str(parse(text)) == written


@pytest.mark.parametrize(
    ("text", "column", "token"),
    [
        ("SELECT Id FORM Account", 11, "unexpected token: 'FORM'"),
        ("SELECT FROM Account", 8, "unexpected token: 'FROM'"),
        ("SELECT Id FROM A WHERE a = 1 AND b = 2 OR c = 3", 40, "unexpected token: 'OR'"),
        ("SELECT Id FROM A WHERE n = 'x", 28, "unexpected char: '''"),
        ("SELECT Id FROM A LIMIT 1 WHERE a = 1", 26, "unexpected token: 'WHERE'"),
        ('SELECT Id FROM A WHERE n = "x"', 28, "unexpected token: '\"'"),
    ],
)
def test_queries_that_are_not(text: str, column: int, token: str) -> None:
    """The error shows the line, a caret below the place, row and column, and the token."""
    with pytest.raises(SalesforceError) as caught:
        parse(text)
    assert caught.value.message == f"\n{text}\n{' ' * (column - 1)}^\nERROR at Row:1:Column:{column}\n{token}"


def test_the_row_counts_lines() -> None:
    """A mistake in the second line is shown with that line alone."""
    with pytest.raises(SalesforceError) as caught:
        parse("SELECT Id\nFORM A")
    assert "\nFORM A\n^\nERROR at Row:2:Column:1\n" in caught.value.message


def test_function_arguments() -> None:
    """Functions nest by one and may be without argument."""
    assert parse("SELECT COUNT(Id) FROM A").items[0].what == Call("COUNT", Path(("Id",)))

"""SOQL: text to a tree, with the parser's own error words ("SOQL and SOSL Reference")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.exceptions import VisitError

from offloader_connectors.salesforce.emulator.errors import SalesforceError

_GRAMMAR = r"""
query: _SELECT items _FROM name alias? scope? where? group? having? order? limit? offset? _for?
items: item ("," item)*
?item: path -> plain
     | call alias? -> called
     | "(" query ")" -> nested
     | typeof
typeof: _TYPEOF name (_WHEN name _THEN path ("," path)*)+ (_ELSE path ("," path)*)? _END
alias: NAME
name: NAME
path: NAME ("." NAME)*
call: NAME "(" [operand ("," operand)*] ")"
?operand: path | call
scope: _USING _SCOPE NAME
where: _WHERE expr
having: _HAVING expr
?expr: unary
     | unary (_AND unary)+ -> both
     | unary (_OR unary)+ -> either
?unary: _NOT unary -> negate
      | "(" expr ")"
      | test
test: operand OPERATOR value -> compare
    | operand _LIKE value -> like
    | operand _IN list -> within
    | operand _NOT _IN list -> without
    | operand (INCLUDES | EXCLUDES) list -> picks
list: STRINGS -> strings
    | "(" value ("," value)* ")" -> values
    | "(" query ")" -> inner
?value: STRING -> string
      | DATETIME -> datetime
      | DATE -> date
      | NUMBER -> number
      | TRUE -> true
      | FALSE -> false
      | NULL -> null
      | DATE_LITERAL -> date_literal
group: _GROUP _BY operand ("," operand)*
order: _ORDER _BY key ("," key)*
key: operand DIRECTION? (_NULLS (FIRST | LAST))?
limit: _LIMIT NUMBER
offset: _OFFSET NUMBER
_for: _FOR (_VIEW | _REFERENCE | _UPDATE) | _ALL _ROWS

_SELECT.3: /select\b/i
_FROM.3: /from\b/i
_USING.3: /using\b/i
_SCOPE.3: /scope\b/i
_WHERE.3: /where\b/i
_HAVING.3: /having\b/i
_AND.3: /and\b/i
_OR.3: /or\b/i
_NOT.3: /not\b/i
_LIKE.3: /like\b/i
_IN.3: /in\b/i
INCLUDES.3: /includes\b/i
EXCLUDES.3: /excludes\b/i
_GROUP.3: /group\b/i
_ORDER.3: /order\b/i
_BY.3: /by\b/i
DIRECTION.3: /(asc|desc)\b/i
_NULLS.3: /nulls\b/i
FIRST.3: /first\b/i
LAST.3: /last\b/i
_LIMIT.3: /limit\b/i
_OFFSET.3: /offset\b/i
_FOR.3: /for\b/i
_VIEW.3: /view\b/i
_REFERENCE.3: /reference\b/i
_UPDATE.3: /update\b/i
_ALL.3: /all\b/i
_ROWS.3: /rows\b/i
_TYPEOF.3: /typeof\b/i
_WHEN.3: /when\b/i
_THEN.3: /then\b/i
_ELSE.3: /else\b/i
_END.3: /end\b/i
TRUE.3: /true\b/i
FALSE.3: /false\b/i
NULL.3: /null\b/i
OPERATOR: /<=|>=|!=|<>|=|<|>/
STRINGS.4: /\(\s*'(?:[^'\\]|\\.)*'(?:\s*,\s*'(?:[^'\\]|\\.)*')*\s*\)/
STRING: /'(?:[^'\\]|\\.)*'/
DATETIME.2: /\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+\- ]\d\d:?\d\d)?/
DATE.1: /\d{4}-\d\d-\d\d/
NUMBER: /[+-]?\d+(\.\d+)?/
DATE_LITERAL.2: /((YESTER|TO)DAY|TOMORROW|(LAST|THIS|NEXT)_(WEEK|MONTH|QUARTER|YEAR)|(LAST|NEXT)_90_DAYS)\b/i
              | /((LAST|NEXT)_N_(DAYS|WEEKS|MONTHS|YEARS)|N_DAYS_AGO):\d+\b/i
NAME: /(?!(?:select|from|where)\b)[A-Za-z_][A-Za-z0-9_]*/i
%ignore /\s+/
"""

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Path:
    """`Account.Owner.Name`; `at` is the offset in the text, for error messages."""

    names: tuple[str, ...]
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return ".".join(self.names)


@dataclass(frozen=True, slots=True)
class Call:
    """`COUNT()`, `SUM(ContentSize)`, `FIELDS(ALL)`: one argument at most."""

    name: str
    argument: Path | Call | None
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.name}({'' if self.argument is None else self.argument})"


@dataclass(frozen=True, slots=True)
class Literal:
    """`kind`: string, number, boolean, null, datetime, date or date_literal (value as written)."""

    kind: str
    value: Any

    def __str__(self) -> str:
        if self.kind == "string":
            text = str(self.value).replace("\\", "\\\\").replace("'", "\\'")
            for letter, char in _ESCAPES.items():
                text = text.replace(char, f"\\{letter}")
            return f"'{text}'"
        return "null" if self.value is None else str(self.value).lower() if self.kind == "boolean" else str(self.value)


@dataclass(frozen=True, slots=True)
class Compare:
    left: Path | Call
    operator: str
    right: Literal

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"


@dataclass(frozen=True, slots=True)
class Within:
    """`IN`, `NOT IN`, `INCLUDES`, `EXCLUDES`."""

    left: Path | Call
    operator: str
    values: tuple[Literal, ...] = ()
    query: Query | None = None

    def __str__(self) -> str:
        inside = str(self.query) if self.query else ", ".join(map(str, self.values))
        return f"{self.left} {self.operator} ({inside})"


@dataclass(frozen=True, slots=True)
class Joined:
    """`AND` or `OR` of two or more."""

    operator: str
    parts: tuple[Expression, ...]

    def __str__(self) -> str:
        return f" {self.operator} ".join(f"({part})" if isinstance(part, Joined) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Negated:
    part: Expression

    def __str__(self) -> str:
        return f"NOT ({self.part})"


Expression = Compare | Within | Joined | Negated


@dataclass(frozen=True, slots=True)
class Selected:
    what: Path | Call | Query
    alias: str | None = None

    def __str__(self) -> str:
        if isinstance(self.what, Query):
            return f"({self.what})"
        return f"{self.what} {self.alias}" if self.alias else str(self.what)


@dataclass(frozen=True, slots=True)
class Key:
    what: Path | Call
    descending: bool = False
    nulls_last: bool | None = None

    def __str__(self) -> str:
        nulls = "" if self.nulls_last is None else f" NULLS {'LAST' if self.nulls_last else 'FIRST'}"
        return f"{self.what}{' DESC' if self.descending else ''}{nulls}"


@dataclass(frozen=True, slots=True)
class Query:
    """A whole SELECT; `str()` writes it back."""

    items: tuple[Selected, ...]
    name: str
    alias: str | None = None
    where: Expression | None = None
    group: tuple[Path | Call, ...] = ()
    having: Expression | None = None
    order: tuple[Key, ...] = ()
    limit: int | None = None
    offset: int | None = None
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        name = f"{self.name} {self.alias}" if self.alias else self.name
        parts = [f"SELECT {', '.join(map(str, self.items))} FROM {name}"]  # noqa: S608 - SOQL, and never run
        for word, value in (("WHERE", self.where), ("HAVING", self.having)):
            if word == "HAVING" and self.group:
                parts.append(f"GROUP BY {', '.join(map(str, self.group))}")
            if value is not None:
                parts.append(f"{word} {value}")
        if self.order:
            parts.append(f"ORDER BY {', '.join(map(str, self.order))}")
        parts += [
            f"{word} {value}" for word, value in (("LIMIT", self.limit), ("OFFSET", self.offset)) if value is not None
        ]
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class _Clause:
    name: str
    value: Any


def _unquote(text: str) -> str:
    """A quoted string's value: backslash escapes, `\\uXXXX` included."""
    if "\\" not in text:
        return text[1:-1]
    out, inside, place = [], text[1:-1], 0
    while place < len(inside):
        char = inside[place]
        if char != "\\":
            out.append(char)
            place += 1
        elif inside[place + 1] in "uU" and len(inside) >= place + 6:
            out.append(chr(int(inside[place + 2 : place + 6], 16)))
            place += 6
        else:
            out.append(_ESCAPES.get(inside[place + 1].lower(), inside[place + 1]))
            place += 2
    return "".join(out)


def _split_strings(text: str) -> tuple[Literal, ...]:
    """The strings of a list that is one token, without a parser's cost for each of its thousands."""
    inside = text[1:-1].strip()
    if "\\" not in inside:
        return tuple(Literal("string", part) for part in inside.split("'")[1::2])
    values, start, place = [], None, 0
    while place < len(inside):
        char = inside[place]
        if char == "\\":
            place += 2
            continue
        if char == "'":
            if start is None:
                start = place
            else:
                values.append(Literal("string", _unquote(inside[start : place + 1])))
                start = None
        place += 1
    return tuple(values)


class _Builder(Transformer[Token, Any]):
    """The parser's tree to values."""

    def path(self, names: list[Token]) -> Path:
        return Path(tuple(map(str, names)), names[0].start_pos or 0)

    def name(self, names: list[Token]) -> Token:
        return names[0]

    def alias(self, names: list[Token]) -> _Clause:
        return _Clause("alias", str(names[0]))

    def call(self, parts: list[Any]) -> Call:
        return Call(str(parts[0]), parts[1] if len(parts) > 1 else None, parts[0].start_pos or 0)

    def plain(self, parts: list[Any]) -> Selected:
        return Selected(parts[0], parts[1].value if len(parts) > 1 else None)

    called = plain

    def nested(self, parts: list[Any]) -> Selected:
        return Selected(parts[0])

    def typeof(self, parts: list[Any]) -> Selected:
        raise SalesforceError("MALFORMED_QUERY", "TYPEOF is not supported by this org")

    def items(self, parts: list[Any]) -> _Clause:
        return _Clause("items", tuple(parts))

    def compare(self, parts: list[Any]) -> Compare:
        return Compare(parts[0], "!=" if parts[1] == "<>" else str(parts[1]), parts[2])

    def like(self, parts: list[Any]) -> Compare:
        return Compare(parts[0], "LIKE", parts[1])

    def within(self, parts: list[Any]) -> Within:
        return _within(parts[0], "IN", parts[1])

    def without(self, parts: list[Any]) -> Within:
        return _within(parts[0], "NOT IN", parts[1])

    def picks(self, parts: list[Any]) -> Within:
        return _within(parts[0], str(parts[1]).upper(), parts[2])

    def strings(self, parts: list[Token]) -> Sequence[Literal]:
        return _split_strings(str(parts[0]))

    def values(self, parts: list[Any]) -> Sequence[Literal]:
        return tuple(parts)

    def inner(self, parts: list[Any]) -> Any:
        return parts[0]

    def string(self, parts: list[Token]) -> Literal:
        return Literal("string", _unquote(str(parts[0])))

    def datetime(self, parts: list[Token]) -> Literal:
        return Literal("datetime", str(parts[0]))

    def date(self, parts: list[Token]) -> Literal:
        return Literal("date", str(parts[0]))

    def number(self, parts: list[Token]) -> Literal:
        text = str(parts[0])
        return Literal("number", float(text) if "." in text else int(text))

    def true(self, _: list[Token]) -> Literal:
        return Literal("boolean", True)

    def false(self, _: list[Token]) -> Literal:
        return Literal("boolean", False)

    def null(self, _: list[Token]) -> Literal:
        return Literal("null", None)

    def date_literal(self, parts: list[Token]) -> Literal:
        return Literal("date_literal", str(parts[0]).upper())

    def both(self, parts: list[Any]) -> Joined:
        return Joined("AND", tuple(parts))

    def either(self, parts: list[Any]) -> Joined:
        return Joined("OR", tuple(parts))

    def negate(self, parts: list[Any]) -> Negated:
        return Negated(parts[0])

    def where(self, parts: list[Any]) -> _Clause:
        return _Clause("where", parts[0])

    def having(self, parts: list[Any]) -> _Clause:
        return _Clause("having", parts[0])

    def group(self, parts: list[Any]) -> _Clause:
        return _Clause("group", tuple(parts))

    def key(self, parts: list[Any]) -> Key:
        words = [str(word).upper() for word in parts[1:]]
        nulls = True if "LAST" in words else False if "FIRST" in words else None
        return Key(parts[0], "DESC" in words, nulls)

    def order(self, parts: list[Any]) -> _Clause:
        return _Clause("order", tuple(parts))

    def limit(self, parts: list[Token]) -> _Clause:
        return _Clause("limit", int(parts[0]))

    def offset(self, parts: list[Token]) -> _Clause:
        return _Clause("offset", int(parts[0]))

    def scope(self, _: list[Token]) -> _Clause:
        return _Clause("scope", None)

    def query(self, parts: list[Any]) -> Query:
        name = parts[1]
        clauses = {part.name: part.value for part in (parts[0], *parts[2:])}
        clauses.pop("scope", None)
        return Query(name=str(name), at=name.start_pos or 0, **clauses)


def _within(left: Path | Call, operator: str, values: Query | tuple[Literal, ...]) -> Within:
    if isinstance(values, Query):
        return Within(left, operator, (), values)
    return Within(left, operator, values)


def _parser(grammar: str) -> Lark:
    return Lark(grammar, start="query", parser="lalr", lexer="contextual", maybe_placeholders=False)


_PARSER = _parser(_GRAMMAR)
#: grouped queries may give plain fields an alias; tried second, so that a misspelt FROM is not taken for one
_GROUPED = _parser(_GRAMMAR.replace("?item: path -> plain", "?item: path alias? -> plain"))


def located(text: str, at: int, code: str, message: str) -> SalesforceError:
    """An error with the line of the query, a caret below the place, and its row and column (from 1)."""
    before = text[:at]
    row, column = before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1
    line = text.splitlines()[row - 1] if text else ""
    block = f"\n{line}\n{' ' * (column - 1)}^\nERROR at Row:{row}:Column:{column}\n{message}"
    return SalesforceError(code, block)


@lru_cache(maxsize=64)
def parse(text: str) -> Query:
    """Raises SalesforceError MALFORMED_QUERY."""
    if not text.strip():
        raise SalesforceError("MALFORMED_QUERY", "A query string has to be specified")
    try:
        tree = _tree(text)
    except UnexpectedToken as error:
        if error.token.type == "$END":
            raise SalesforceError("MALFORMED_QUERY", "unexpected token: '<EOF>'") from error
        at = error.token.start_pos or 0
        raise located(text, at, "MALFORMED_QUERY", f"unexpected token: '{_word(text, at)}'") from error
    except UnexpectedCharacters as error:
        at = error.pos_in_stream or 0
        if text[at] == "'":
            raise located(text, at, "MALFORMED_QUERY", "unexpected char: '''") from error
        raise located(text, at, "MALFORMED_QUERY", f"unexpected token: '{_word(text, at)}'") from error
    except UnexpectedInput as error:
        raise SalesforceError("MALFORMED_QUERY", "unexpected end of query") from error
    built: Query = _build(tree)
    return built


def _tree(text: str) -> Any:
    try:
        return _PARSER.parse(text)
    except UnexpectedInput:
        try:
            return _GROUPED.parse(text)
        except UnexpectedInput:
            pass
        raise


def _build(tree: Any) -> Any:
    try:
        return _Builder().transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, SalesforceError):
            raise error.orig_exc from error
        raise


def _word(text: str, at: int) -> str:
    end = at
    while end < len(text) and (text[end].isalnum() or text[end] in "_."):
        end += 1
    return text[at : max(end, at + 1)]

"""The values of OData query options, from text to trees ("OData Version 4.0, URL Conventions")."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput
from lark.exceptions import VisitError

from offloader_connectors.dynamics365.emulator.errors import DataverseError, bad_query

_GRAMMAR = r"""
?start: expr
?expr: both (_OR both)* -> either
?both: unary (_AND unary)* -> all_of
?unary: _NOT unary -> negate
      | "(" expr ")"
      | test
?test: operand OPERATOR operand -> compare
     | CRM "(" argument ("," argument)* ")" -> crm
     | PATH "(" operand ("," operand)* ")" -> call
     | PATH "(" LAMBDA expr ")" -> lambda_
     | PATH "(" ")" -> any_at_all
     | PATH -> flag
argument: NAME "=" value
?value: literal | ARRAY -> array
?operand: PATH -> path
        | literal
?literal: STRING -> string
        | ENUM -> enum
        | GUID -> guid
        | DATETIME -> moment
        | NUMBER -> number
        | TRUE -> true
        | FALSE -> false
        | NULL -> null
        | ALIAS -> alias
_AND.4: /and\b/
_OR.4: /or\b/
_NOT.4: /not\b/
TRUE.4: /true\b/
FALSE.4: /false\b/
NULL.4: /null\b/
OPERATOR.4: /(eq|ne|gt|ge|lt|le)\b/
CRM.5: /Microsoft\.Dynamics\.CRM\.[A-Za-z]+(?=\s*\()/
ENUM.5: /Microsoft\.Dynamics\.CRM\.[A-Za-z]+'[^']*'/
NAME.6: /[A-Za-z]+(?=\s*=)/
LAMBDA.6: /[A-Za-z_]\w*\s*:/
GUID.5: /[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b/
DATETIME.4: /\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+\-]\d\d:?\d\d)?)?/i
NUMBER.3: /-?\d+(\.\d+)?([eE][+\-]?\d+)?/
STRING: /'(?:[^']|'')*'/
ARRAY: /\[(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\]"'])*\]/
ALIAS: /@\w+/
PATH: /[A-Za-z_]\w*(?:\/[A-Za-z_]\w*)*/
%ignore /\s+/
"""


@dataclass(frozen=True, slots=True)
class Path:
    """`objectid_email/statecode`."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Literal:
    """`kind`: string, enum, guid, moment, number, boolean, null, alias or array."""

    kind: str
    value: Any


@dataclass(frozen=True, slots=True)
class Compare:
    left: Path | Literal
    operator: str
    right: Path | Literal


@dataclass(frozen=True, slots=True)
class Call:
    """`contains(name,'x')`, or a query function of the platform with named arguments."""

    name: str
    arguments: tuple[Path | Literal, ...] = ()
    named: Mapping[str, Literal] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Some:
    """`Account_Annotation/any(n:n/isdocument eq true)`, or `all`."""

    path: tuple[str, ...]
    every: bool
    variable: str
    inner: Expression | None


@dataclass(frozen=True, slots=True)
class Joined:
    operator: str
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Negated:
    part: Expression


Expression = Compare | Call | Some | Joined | Negated


class _Builder(Transformer[Token, Any]):
    """The tree as values."""

    def either(self, parts: list[Any]) -> Any:
        return parts[0] if len(parts) == 1 else Joined("or", tuple(parts))

    def all_of(self, parts: list[Any]) -> Any:
        return parts[0] if len(parts) == 1 else Joined("and", tuple(parts))

    def negate(self, parts: list[Any]) -> Negated:
        return Negated(parts[0])

    def compare(self, parts: list[Any]) -> Compare:
        return Compare(parts[0], str(parts[1]), parts[2])

    def flag(self, parts: list[Token]) -> Compare:
        return Compare(self.path(parts), "eq", Literal("boolean", True))

    def call(self, parts: list[Any]) -> Call:
        return Call(str(parts[0]), tuple(parts[1:]))

    def argument(self, parts: list[Any]) -> tuple[str, Any]:
        return str(parts[0]), parts[1]

    def crm(self, parts: list[Any]) -> Call:
        return Call(str(parts[0]), named=dict(parts[1:]))

    def lambda_(self, parts: list[Any]) -> Some:
        *names, word = str(parts[0]).split("/")
        return Some(tuple(names), _every(word), str(parts[1]).rstrip(": \t"), parts[2])

    def any_at_all(self, parts: list[Token]) -> Some:
        *names, word = str(parts[0]).split("/")
        return Some(tuple(names), _every(word), "", None)

    def path(self, parts: list[Token]) -> Path:
        return Path(tuple(str(parts[0]).split("/")))

    def string(self, parts: list[Token]) -> Literal:
        return Literal("string", str(parts[0])[1:-1].replace("''", "'"))

    def enum(self, parts: list[Token]) -> Literal:
        return Literal("enum", str(parts[0]).split("'")[1])

    def guid(self, parts: list[Token]) -> Literal:
        return Literal("guid", str(parts[0]).lower())

    def moment(self, parts: list[Token]) -> Literal:
        return Literal("moment", str(parts[0]))

    def number(self, parts: list[Token]) -> Literal:
        text = str(parts[0])
        return Literal("number", int(text) if re.fullmatch(r"-?\d+", text) else float(text))

    def true(self, _: list[Token]) -> Literal:
        return Literal("boolean", True)

    def false(self, _: list[Token]) -> Literal:
        return Literal("boolean", False)

    def null(self, _: list[Token]) -> Literal:
        return Literal("null", None)

    def alias(self, parts: list[Token]) -> Literal:
        return Literal("alias", str(parts[0]))

    def array(self, parts: list[Token]) -> Literal:
        return Literal("array", str(parts[0]))


def _every(word: str) -> bool:
    if word not in {"any", "all"}:
        raise bad_query(f"An unknown function with name '{word}' was found.")
    return word == "all"


_PARSER = Lark(_GRAMMAR, parser="lalr", lexer="contextual", maybe_placeholders=False)


@lru_cache(maxsize=64)
def parse_filter(text: str) -> Expression:
    """Raises DataverseError 400 for what is no filter."""
    try:
        tree: Expression = _Builder().transform(_PARSER.parse(text))
    except UnexpectedInput as error:
        at = getattr(error, "pos_in_stream", None) or 0
        raise bad_query(f"Syntax error at position {at} in '{text[:200]}'.") from error
    except VisitError as error:
        if isinstance(error.orig_exc, DataverseError):
            raise error.orig_exc from error
        raise
    return tree


def aliased(literal: Literal, options: Mapping[str, str]) -> Literal:
    """What a parameter alias stands for. Raises DataverseError."""
    if literal.kind != "alias":
        return literal
    text = options.get(literal.value, "").strip()
    if text.startswith("["):
        return Literal("array", text)
    if re.fullmatch(r"'(?:[^']|'')*'", text):
        return Literal("string", text[1:-1].replace("''", "'"))
    raise bad_query(f"The parameter alias '{literal.value}' has no value.")


def array_values(text: str, *, single_quotes: bool) -> list[str]:
    """The strings of `["a","b"]`. Raises DataverseError."""
    if single_quotes and "'" in text and '"' not in text:
        return [item.replace("''", "'") for item in re.findall(r"'((?:[^']|'')*)'", text)]
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, list):
        raise bad_query(f"The collection '{text[:100]}' is not valid: its items are to be enclosed in double quotes.")
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in values]


def split(text: str, separator: str) -> Iterator[str]:
    """The parts of a text at separators that stand outside of parentheses, brackets and quotes."""
    depth, start, quote = 0, 0, ""
    for index, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif char == separator and depth == 0:
            yield text[start:index].strip()
            start = index + 1
    yield text[start:].strip()


@dataclass(frozen=True, slots=True)
class Expansion:
    """One item of $expand with its own options."""

    name: str
    options: Mapping[str, str] = field(hash=False)


_EXPANSION = re.compile(r"(\w+)(?:/\$ref)?(?:\((.*)\))?", re.DOTALL)


def parse_expand(text: str) -> list[Expansion]:
    """Raises DataverseError."""
    found = []
    for item in split(text, ","):
        match = _EXPANSION.fullmatch(item)
        if match is None:
            raise bad_query(f"Term '{item[:100]}' is not valid in a $select or $expand expression.")
        options = {}
        for option in split(match[2] or "", ";"):
            if option:
                name, _, value = option.partition("=")
                options[name.strip()] = value
        found.append(Expansion(match[1], options))
    return found


@dataclass(frozen=True, slots=True)
class Order:
    path: tuple[str, ...]
    descending: bool = False


def parse_orderby(text: str) -> list[Order]:
    """Raises DataverseError."""
    found = []
    for item in split(text, ","):
        name, *way = item.split()
        if len(way) > 1 or (way and way[0].lower() not in {"asc", "desc"}):
            raise bad_query(f"Syntax error in '{item}'.")
        found.append(Order(tuple(name.split("/")), bool(way) and way[0].lower() == "desc"))
    return found

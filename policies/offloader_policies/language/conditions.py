"""Conditions: a port of one call, and CEL behind it (the Common Expression Language, github.com/google/cel-spec).

The library never raises while it evaluates: a missing value or a division by zero comes back as a value of type
ERROR. Only a value of type BOOL is an answer here; everything else is None, "nobody knows".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Protocol

from offloader.errors import ConfigError

LONGEST = 2000
#: literals of a condition
STRINGS = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")
_TEXT = STRINGS.pattern
_NAMES = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_IN_KNOWN = re.compile(r"(['\"])((?:(?!\1).)*)\1\s+in\s+document\.known\b")


class Condition(Protocol):
    """A compiled condition. `uses` are the names of the variables that it mentions."""

    uses: frozenset[str]

    def holds(self, values: Mapping[str, Any]) -> bool | None:
        """Whether it holds for these values, by variable; None when they do not say. Never raises."""


class CelCondition:
    """A condition in CEL. Safe to use from several threads."""

    __slots__ = ("_bool", "_eval", "uses")

    def __init__(self, expression: Any, boolean: Any, uses: frozenset[str]) -> None:
        self._eval = expression.eval
        self._bool = boolean
        self.uses = uses

    def holds(self, values: Mapping[str, Any]) -> bool | None:
        try:
            found = self._eval(data=values)
        except (RuntimeError, TypeError, ValueError, OverflowError):  # a value that CEL has no form for
            return None
        return bool(found.value()) if found.type() == self._bool else None


class Compiler:
    """Compiles conditions over typed variables, each "string", "int", "time", "strings", "record" or "records"."""

    def __init__(self, types: Mapping[str, str]) -> None:
        try:
            from cel_expr_python import cel  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise ConfigError("conditions (`when`) need the extra: pip install 'offloader[policy]'") from error
        kinds = {
            "string": cel.Type.STRING,
            "int": cel.Type.INT,
            "time": cel.Type.TIMESTAMP,
            "strings": cel.Type.List(cel.Type.STRING),
            "record": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
            "records": cel.Type.List(cel.Type.Map(cel.Type.STRING, cel.Type.DYN)),
        }
        self._names = frozenset(types)
        self._bool = cel.Type.BOOL
        self._env = cel.NewEnv(variables={name: kinds[kind] for name, kind in types.items()})

    def compile(self, text: str) -> Condition:
        """Raises ValueError saying what is wrong, and what to write instead."""
        if len(text) > LONGEST:
            raise ValueError(f"longer than {LONGEST} characters")
        bare = STRINGS.sub("''", text)
        self._refuse_has(bare)
        self._refuse_unknown(text)
        try:
            expression = self._env.compile(text)
        except (RuntimeError, ValueError, TypeError) as error:
            raise ValueError(f"not valid CEL: {self._plain(str(error))}") from error
        if expression.return_type() != self._bool:
            raise ValueError(f"gives {expression.return_type().name()}, a condition must give true or false")
        return CelCondition(expression, self._bool, self._used(bare))

    def _used(self, bare: str) -> frozenset[str]:
        words = _NAMES.findall(bare)
        return frozenset(name for name in self._names for word in words if word == name or word.startswith(f"{name}."))

    @staticmethod
    def _refuse_has(bare: str) -> None:
        if re.search(r"\bhas\(\s*document\.", bare):
            raise ValueError('has() cannot ask for facts of the document; write "owner" in document.known')

    def _refuse_unknown(self, text: str) -> None:
        for found in _IN_KNOWN.finditer(text):
            if f"document.{found[2]}" not in self._names:
                raise ValueError(f"there is no document.{found[2]}; there are: {self._list()}")

    def _list(self) -> str:
        return ", ".join(sorted(self._names))

    def _plain(self, error: str) -> str:
        """CEL's own words without its drawing; with the names that exist, where one does not."""
        first = error.splitlines()[0] if error else "it cannot be read"
        message = re.sub(r"^[A-Z_]+: ERROR: <input>:\d+:(\d+): ", r"at character \1: ", first)
        message = message.removesuffix(" (in container '')")
        message = re.sub(r"found no matching overload for '[_@]*(.+?)_*' applied to", r"'\1' does not go with", message)
        message = re.sub(r" expecting \{?'.*", "", message).replace("'<EOF>'", "end")
        if "undeclared reference" in message:
            message = f"{message}; there are: {self._list()}"
        return message


def compared(text: str, name: str) -> frozenset[str]:
    """The literals that a condition compares a variable with: `name == "x"`, `"x" != name`, `name in ["x", "y"]`."""
    bare, found = rf"(?<![\w.]){re.escape(name)}(?![\w.(])", set[str]()
    for pattern in (rf"{bare}\s*[!=]=\s*({_TEXT})", rf"({_TEXT})\s*[!=]=\s*{bare}", rf"{bare}\s+in\s*\[([^\]]*)\]"):
        for match in re.finditer(pattern, text):
            found.update(literal[0][1:-1] for literal in STRINGS.finditer(match[1]))
    return frozenset(found)


def compile_all(texts: Collection[tuple[str, str]], types: Mapping[str, str]) -> Mapping[str, Condition]:
    """Compile conditions by name. Raises ValueError naming the first bad one as "NAME: why"."""
    compiler = Compiler(types) if texts else None
    found: dict[str, Condition] = {}
    for name, text in texts:
        assert compiler is not None
        try:
            found[name] = compiler.compile(text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return found

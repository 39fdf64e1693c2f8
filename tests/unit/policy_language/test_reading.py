"""Policy files that two readers could take differently are refused, with the line and what to write instead."""

from __future__ import annotations

from datetime import date

import pytest

from offloader.errors import ConfigError
from offloader_policies.language.reading import MAX_BYTES, read

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "line", "say"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "a: stands here twice; the first is on line 1"),
        ("a:\n  b: 1\n  b: 2\n", 3, "a.b: stands here twice"),
        ("a:\n\tb: 1\n", 2, "a tab: write spaces"),
        ("a: *elsewhere\n", 1, "within its own file only"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", 3, "`<<` is not understood"),
        ("a: !!python/object/apply:os.system [x]\n", 1, "tag python/object/apply:os.system is not understood"),
        ("a: !secret x\n", 1, "write the plain value"),
        ("a: 2026-01-31T10:00:00\n", 1, "write the day alone (2026-01-31)"),
        ("a: 2026-01-31 10:00:00 +02:00\n", 1, "write the day alone"),
        ("a: '2026-01-31T00:00:00Z'\n", 1, "write the day alone"),
        ("a: 2026-02-30\n", 1, "is no date"),
        ("a: 1\n---\nb: 1\n", 2, "one policy stands in one file"),
        ("%YAML 1.1\n---\na: no\n", 2, "another YAML than 1.2"),
        ("a: .inf\n", 1, "is no number"),
        ("a: 1\nb: \x00\n", 2, "the character U+0000 may not stand in a policy"),
        ("yes: 1\ntrue: 2\n", 2, "put it in quotation marks"),
        ("? [a, b]\n: 1\n", 1, "must be text"),
        ("- a\n- b\n", 1, "must hold keys and values"),
        ("a: [1, 2\n", 2, "not valid YAML"),
        ("a: " + "[" * 3000, 1, "nested more than"),
        (BOMB, 1, "grows when its aliases"),
        ("a: &a x\nb: [" + "*a, " * 101 + "]\n", 2, "more than 100 aliases"),
        ("a: &a [*a]\n", 1, "grows when its aliases"),
    ],
)
def test_what_is_refused_says_its_line_and_the_remedy(text: str, line: int, say: str) -> None:
    """Each kind of trap is an error that names the file, the line and what to write."""
    with pytest.raises(ConfigError) as raised:
        read("p.yaml", text.encode())

    assert say in str(raised.value)
    assert str(raised.value).startswith(f"p.yaml:{line}: ")


def test_a_file_that_is_too_large_is_refused() -> None:
    """Nothing is parsed of a file above the limit."""
    with pytest.raises(ConfigError, match="this is not a policy"):
        read("p.yaml", b"a: " + b"x" * MAX_BYTES)


def test_a_file_that_is_not_utf8_is_refused() -> None:
    """The line of the first bad byte is named."""
    with pytest.raises(ConfigError, match=r"p\.yaml:2: not UTF-8"):
        read("p.yaml", b"a: 1\nb: \xff\n")


def test_values_are_what_they_look_like() -> None:
    """Norway is no boolean, a leading zero no octal number, and a day a date."""
    found = read("p.yaml", b"a: NO\nb: off\nc: 010\nd: 2026-01-31\ne: '1'\nf: 1.5\ng: true\nh: ~\n")

    assert dict(found.value) == {
        "a": "NO",
        "b": "off",
        "c": 10,
        "d": date(2026, 1, 31),
        "e": "1",
        "f": 1.5,
        "g": True,
        "h": None,
    }
    assert found.origin(("d",)) == "p.yaml:4"

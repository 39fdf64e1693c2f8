"""Purge rules of a policy: what each says about a record, and what is wrong in a file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from offloader.errors import ConfigError
from offloader.ports import Purge, Purged, PurgeRule
from offloader_policies.language.layers import load
from offloader_policies.language.policy import FilePolicy

NOW = datetime(2026, 11, 22, tzinfo=UTC)
RULE = "policy: p\npurge:\n  - {id: r, type: Case, age_field: Closed, older_than: P7Y%s}\n"


def rules(directory: Path, text: str) -> tuple[PurgeRule, ...]:
    path = directory / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return FilePolicy(load(path)).terms.purges


def judged(directory: Path, more: str, fields: Mapping[str, Any]) -> Purged:
    (rule,) = rules(directory, RULE % more)
    return rule.book.judge({"Closed": "2015-01-01", **fields}, NOW)


@pytest.mark.parametrize(
    ("more", "fields", "verdict", "code"),
    [
        ("", {}, Purge.DELETE, "OLD"),
        ("", {"Closed": None}, Purge.KEEP, "NO_AGE"),
        ("", {"Closed": ""}, Purge.KEEP, "NO_AGE"),
        ("", {"Closed": "soon"}, Purge.REVIEW, "BAD_AGE"),
        ("", {"Closed": 7}, Purge.REVIEW, "BAD_AGE"),
        ("", {"Closed": "2031-01-01"}, Purge.REVIEW, "FUTURE_AGE"),
        ("", {"Closed": "2019-11-21"}, Purge.DELETE, "OLD"),
        ("", {"Closed": "2019-11-22"}, Purge.KEEP, "TOO_YOUNG"),
        ("", {"Closed": "2019-11-21T23:30:00.000+0000"}, Purge.DELETE, "OLD"),
        ("", {"Closed": "2019-11-21T23:30:00-05:00"}, Purge.KEEP, "TOO_YOUNG"),
        (", where: {S: [a, b]}", {"S": "b"}, Purge.DELETE, "OLD"),
        (", where: {S: a}", {"S": "c"}, Purge.KEEP, "WHERE"),
        (", where: {S: a}", {"S": None}, Purge.KEEP, "WHERE"),
        (", where: {S: a}", {}, Purge.REVIEW, "UNKNOWN"),
        (", where: {S: true}", {"S": 1}, Purge.KEEP, "WHERE"),
        (", where: {S: 1}", {"S": 1}, Purge.DELETE, "OLD"),
        (", empty: [E]", {"E": None}, Purge.DELETE, "OLD"),
        (", empty: [E]", {"E": "x"}, Purge.KEEP, "NOT_EMPTY"),
        (", empty: [E]", {}, Purge.REVIEW, "UNKNOWN"),
        (", when: record.N < 10.0", {"N": 9.5}, Purge.DELETE, "OLD"),
        (", when: record.N < 10.0", {"N": 11.5}, Purge.KEEP, "WHEN"),
        (", when: record.N < 10.0", {"N": None}, Purge.REVIEW, "WHEN_UNKNOWN"),
        (", when: record.N < 10.0", {"N": "many"}, Purge.REVIEW, "WHEN_UNKNOWN"),
        (", when: record.N == 'a'", {"N": "\ud83d"}, Purge.REVIEW, "WHEN_UNKNOWN"),
        (", retention: [{id: o, keep: P10Y, from: doc_date}]", {}, Purge.DELETE, "OLD"),
        (", retention: [{id: o, keep: P20Y, from: doc_date}]", {}, Purge.KEEP, "RETENTION"),
        (", retention: [{id: o, erase: P9Y, from: doc_date}]", {}, Purge.DELETE, "OVERDUE"),
        (
            ", retention: [{id: o, keep: P20Y, from: doc_date}, {id: q, erase: P9Y, from: doc_date}]",
            {},
            Purge.REVIEW,
            "RETENTION_CONFLICT",
        ),
        (", retention: [{id: o, keep: P1Y, from: ended}], dates: {ended: End}", {}, Purge.REVIEW, "RETENTION_WAITING"),
        (
            ", retention: [{id: o, keep: P9Y, from: ended}], dates: {ended: End}",
            {"End": "2025-01-01"},
            Purge.KEEP,
            "RETENTION",
        ),
    ],
)
def test_a_rule_judges_a_record(tmp_path: Path, more: str, fields: dict[str, Any], verdict: Purge, code: str) -> None:
    """Only a record that is certainly old, meets every line and is free of every duty goes; unknown is for a person."""
    said = judged(tmp_path, more, fields)

    assert (said.verdict, said.reasons[-1].code) == (verdict, code)


def test_a_duty_of_another_rule_about_the_same_type_counts(tmp_path: Path) -> None:
    """What one rule must keep, no other rule deletes; the fields that tell when it began are asked for."""
    text = RULE % "" + (
        "  - {id: s, type: Case, age_field: Closed, older_than: P9Y,"
        " retention: [{id: o, keep: P20Y, from: ended}], dates: {ended: End}}\n"
    )
    first = rules(tmp_path, text)[0]

    assert first.book.judge({"Closed": "2015-01-01", "End": "2016-01-01"}, NOW).reasons[-1].code == "RETENTION"
    assert first.fields == ("End",)


def test_a_rule_names_every_field_that_it_looks_at(tmp_path: Path) -> None:
    """Fields of the condition, however written, and of signals are brought along; those of strings are not."""
    more = """, when: "record.A == 'record.X' && record['B'] > 1.0 && has(record.C)", signals: {country: D}"""
    (rule,) = rules(tmp_path, RULE % more)

    assert rule.fields == ("A", "B", "C", "D")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (", older: 1", "unknown key"),
        (", when: record.A +", "not valid CEL"),
        (", when: '1'", "must give true or false"),
        (", retention: [NO-SUCH]", "is no retention duty"),
        (", categories: [nothing]", "is no category"),
        (", dates: {ended: End}", "without `retention`"),
        (', where: {"S\' OR 1=1": a}', "purge"),
        (", children: drop", "purge[0].children"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, more: str, says: str) -> None:
    """A mistake in a purge rule is a configuration error with file, line and key."""
    with pytest.raises(ConfigError, match=r"^policy.yaml:3: ") as error:
        rules(tmp_path, RULE % more)

    assert says in str(error.value)


def test_a_rule_changes_the_fingerprint(tmp_path: Path) -> None:
    """A policy with a purge rule is another one than the same without; an empty part changes nothing."""
    plain, with_rule = "policy: p\n", RULE % ""
    path = tmp_path / "policy.yaml"
    prints = []
    for text in (plain, plain + "purge: []\n", with_rule):
        path.write_text(text, encoding="utf-8")
        prints.append(FilePolicy(load(path)).fingerprint)

    assert prints[0] == prints[1] != prints[2]

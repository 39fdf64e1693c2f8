"""Scripted faults: what goes wrong, at which call of which operation.

A script is a list of rules (JSON or YAML, `{"seed": 1, "rules": [...]}` or the bare list). Keys of a rule:

| key | meaning |
| --- | --- |
| `on` | operation, a shell pattern (`blob.get`, `collections.*`, `*`) |
| `nth` | fire at the n-th matching call only (with `times`: at n and the following) |
| `times` | fire at most so often |
| `every` | fire at every n-th matching call |
| `probability` | fire with this chance, from the script's seed |
| `do` | `status`, `delay`, `drop_before`, `drop_after_commit`, `truncate`, `corrupt`, `item`, `edit` |
| `status`, `body`, `headers`, `retry_after` | `status`: answer so instead; without `body`, as the vendor usually does |
| `seconds` | `delay`: wait before the act |
| `clean` | `truncate`: false = closes short of Content-Length; true = a whole, shorter chunked body |
| `item`, `code`, `message`, `fields` | `item`: numbers (from 0) of the items of a batch that fail with this error |
| `change`, `before` | `edit`: a change that somebody else makes after (or before) the act; its words are the vendor's |

`drop_before` cuts the connection before the act, `drop_after_commit` carries the act out and cuts it without an
answer. `corrupt` flips one bit in the middle of the body. Rules of inner operations of a batch apply to that inner
operation, those that cut or damage the answer to the whole answer.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ACTS = ("status", "delay", "drop_before", "drop_after_commit", "truncate", "corrupt", "item", "edit")


@dataclass(slots=True, kw_only=True)
class Rule:
    """One rule of the script, with how often it was met and how often it fired."""

    on: str
    do: str
    nth: int | None = None
    times: int | None = None
    every: int | None = None
    probability: float | None = None
    status: int = 503
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: int | None = None
    seconds: float = 0.0
    clean: bool = False
    item: int | Sequence[int] = 0
    code: str = ""
    message: str = ""
    fields: Sequence[str] = ()
    change: Mapping[str, Any] = field(default_factory=dict)
    before: bool = False
    met: int = 0
    fired: int = 0

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Rule:
        """Raises ValueError naming what is wrong."""
        known = {item.name for item in fields(cls)} - {"met", "fired"}
        if unknown := set(raw) - known:
            raise ValueError(f"unknown keys in a fault rule: {', '.join(sorted(unknown))}")
        if missing := {"on", "do"} - set(raw):
            raise ValueError(f"a fault rule needs {', '.join(sorted(missing))}")
        if raw["do"] not in ACTS:
            raise ValueError(f"a fault rule cannot do {raw['do']!r}; it can do {', '.join(ACTS)}")
        return cls(**raw)

    def items(self) -> frozenset[int]:
        return frozenset([self.item] if isinstance(self.item, int) else self.item)

    def fires(self, chance: random.Random) -> bool:
        self.met += 1
        if self.times is not None and self.fired >= self.times:
            return False
        if self.nth is not None and (self.met < self.nth if self.times is not None else self.met != self.nth):
            return False
        if self.every is not None and self.met % self.every:
            return False
        if self.probability is not None and chance.random() >= self.probability:
            return False
        self.fired += 1
        return True


class Faults:
    """The script in force."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self._chance = random.Random(0)  # noqa: S311 - a script, not a secret

    def load(self, script: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """Replace the script. Raises ValueError and keeps the old one if it is wrong."""
        if isinstance(script, Mapping):
            if unknown := set(script) - {"seed", "rules"}:
                raise ValueError(f"unknown keys in a fault script: {', '.join(sorted(unknown))}")
            seed, raw = script.get("seed", 0), script.get("rules", [])
        else:
            seed, raw = 0, script
        self.rules = [Rule.parse(rule) for rule in raw]
        self._chance = random.Random(seed)  # noqa: S311

    def load_file(self, path: Path) -> None:
        self.load(YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")) or [])

    def on(self, operation: str, do: str, **keys: Any) -> Rule:
        """Add one rule; for tests in the same process."""
        rule = Rule.parse({"on": operation, "do": do, **keys})
        self.rules.append(rule)
        return rule

    def hit(self, operation: str) -> list[Rule]:
        """The rules that fire at this call of an operation."""
        if not self.rules:
            return []
        return [rule for rule in self.rules if fnmatchcase(operation, rule.on) and rule.fires(self._chance)]

    def clear(self) -> None:
        self.rules = []

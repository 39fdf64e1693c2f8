"""What a command says: one JSON object on stdout with `--json`, sentences without; progress goes to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offloader.cli.exits import Exit
from offloader.errors import ConfigError

if TYPE_CHECKING:
    from offloader.moves.site import Progress


#: characters of a reason that are shown in a summary
LONGEST_REASON = 78
#: lines of a list that are shown
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """A command's end: its exit code, its numbers, and the same for a person to read."""

    code: Exit = Exit.DONE
    data: Mapping[str, Any] = field(default_factory=dict)
    lines: Sequence[str] = ()


def printable(text: str) -> str:
    """Hostile text made safe for a terminal: control and direction-changing characters are shown as escapes."""
    return "".join(
        char if char.isprintable() or char == " " else char.encode("unicode_escape").decode("ascii") for char in text
    )


def show(answer: Answer, *, as_json: bool) -> None:
    """Print the answer; whoever reads it may stop reading (`| head`)."""
    try:
        if as_json:
            sys.stdout.write(json.dumps({"exit_code": int(answer.code), **answer.data}, ensure_ascii=True) + "\n")
        else:
            for line in answer.lines:
                sys.stdout.write(printable(line) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # what is left in the buffer goes nowhere, or the interpreter would complain of it at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def why(reasons: Mapping[str, int], examples: Mapping[str, str]) -> list[str]:
    """What stayed, a line a code: how many, the code, and one document's reason in words."""
    lines = []
    for code, count in sorted(reasons.items(), key=lambda each: -each[1]):
        example = examples.get(code, "")
        short = example if len(example) <= LONGEST_REASON else f"{example[:LONGEST_REASON]}…"
        lines.append(f"{count:>6}  {code}" + (f": {short}" if short else ""))
    return lines


def came_back(documents: Sequence[str]) -> list[str]:
    """Documents that were moved and hold bytes again."""
    if not documents:
        return []
    said = (
        f"{len(documents)} documents were moved earlier, and their places in the CRM hold bytes again, put there by a "
        "user or another program. These bytes stay there; remove them, or restore the documents:"
    )
    return [said, *(f"  {document}" for document in documents[:SHOWN])]


def size(count: float) -> str:
    """Bytes for a person: 1.5 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def write_plan(out: Path, lines: Iterable[bytes]) -> None:
    """Write a plan's lines to a file. Raises ConfigError if it cannot be written."""
    try:
        with out.open("wb") as file:
            file.writelines(lines)
    except OSError as error:
        raise ConfigError(f"the plan cannot be written to {out}: {error.strerror}") from error


class Bars:
    """Progress bars on stderr, one a stage; silent when stderr is no terminal."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - rich is only loaded when something is shown
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
        from rich.progress import Progress as RichProgress  # noqa: PLC0415

        console = Console(stderr=True)
        self._rich = RichProgress(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Progress:
        self._rich.start()
        return self.update

    def __exit__(self, *_: object) -> None:
        self._rich.stop()

    def update(self, stage: str, done: int, total: int | None) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._rich.add_task(stage, total=total)
        self._rich.update(self._tasks[stage], completed=done, total=total)


def note(text: str) -> None:
    """Say something on stderr, where it never disturbs `--json`."""
    sys.stderr.write(printable(text) + "\n")
    sys.stderr.flush()

"""A sentence of a report that can be said in the reader's language."""

from __future__ import annotations

from datetime import date


def marked(text: str) -> str:
    """Marks a text for the catalogs where it stands; `Words.say` says it."""
    return text


class Message(str):
    """The English sentence, which programs get, and what it was made of: a text of the catalogs, and its values.

    A value is a text, a number, a day, another message, or a sequence of messages that follow one another.
    """

    template: str
    values: dict[str, object]

    def __new__(cls, template: str, /, **values: object) -> Message:
        made = super().__new__(cls, template.format(**{name: _plain(value) for name, value in values.items()}))
        made.template, made.values = template, values
        return made


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (tuple, list)):
        return "".join(map(str, value))
    return str(value)

"""Brings the catalogs of the reports' texts up to date: `python docs/make_catalogs.py`.

New texts come in empty, to be translated by hand; texts that are no more go. Says which texts lack a translation.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

REPORTS = Path(__file__).resolve().parents[1] / "offloader" / "reports"
_METHODS = [("**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
_OPTIONS = {"templates/**.html": {"trimmed": "true", "silent": "false", "extensions": "jinja2.ext.i18n"}}
#: without dates and names, so that the same texts give the same file
_HEADER = """msgid ""
msgstr ""
"Language: {}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {}\\n"

"""
_KEYWORDS: dict[str, tuple[int, ...] | None] = {"_": None, "gettext": None, "ngettext": (1, 2)}


def texts() -> Catalog:
    """Every text that stands in the templates and in the code."""
    found = Catalog()
    for name, _line, text, _comments, context in extract_from_dir(
        REPORTS, method_map=_METHODS, options_map=_OPTIONS, keywords=_KEYWORDS
    ):
        found.add(text, locations=[(f"reports/{Path(name).as_posix()}", None)], context=context)
    return found


def catalogs() -> dict[str, Path]:
    """The catalogs by language."""
    return {path.parent.name: path for path in sorted((REPORTS / "locale").glob("*/reports.po"))}


def read(language: str, path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=language)


def untranslated(catalog: Catalog, template: Catalog) -> list[str]:
    """Texts that a catalog lacks, or says only half of, or holds though they are no more."""
    there = {message.id: message for message in catalog if message.id}
    wanted = {message.id for message in template if message.id}
    lacking = [text for text in wanted if text not in there or not _whole(there[text])]
    return sorted(map(str, [*lacking, *(there.keys() - wanted)]))


def _whole(message: Message) -> bool:
    said = message.string if isinstance(message.string, (list, tuple)) else (message.string,)
    return all(said) and not message.fuzzy


def main() -> None:
    template, left = texts(), 0
    for language, path in catalogs().items():
        catalog = read(language, path)
        catalog.update(template, no_fuzzy_matching=True)
        catalog.obsolete.clear()
        body = io.BytesIO()
        write_po(body, catalog, width=120, omit_header=True, sort_output=True, ignore_obsolete=True)
        path.write_bytes(_HEADER.format(language, catalog.plural_forms).encode() + body.getvalue())
        lacking = untranslated(catalog, template)
        left += len(lacking)
        print(f"{path}: {len(lacking)} texts lack a translation", *lacking, sep="\n  ")
    sys.exit(1 if left else 0)


if __name__ == "__main__":
    main()

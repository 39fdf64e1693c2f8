"""What of the configuration a policy names: sources, kinds of documents and stores, each with its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from offloader.plugins import PolicyName
from offloader_policies import shown
from offloader_policies.language.conditions import compared
from offloader_policies.language.layers import Book


def named(book: Book) -> Iterator[PolicyName]:
    """Everything that the clauses, the purge rules, the caps and the options of the rules name."""
    content = book.content
    for number, clause in enumerate(content.clauses):
        steps, what, select = ("clauses", number), f"the clause {clause.id}", clause.select
        yield from _names(book, "source", select.sources, what, *steps, "select", "sources")
        yield from _names(book, "kind", select.kinds, what, *steps, "select", "kinds", sources=select.sources)
        yield from _names(book, "store", clause.prefer, what, *steps, "prefer")
        for fact in ("source", "kind"):
            words = compared(select.when or "", f"document.{fact}")
            about = select.sources if fact == "kind" else ()
            yield from _names(book, fact, words, what, *steps, "select", "when", sources=about)
    for number, rule in enumerate(content.purge):
        steps, what = ("purge", number), f"the purge rule {rule.id}"
        yield from _names(book, "source", rule.sources, what, *steps, "sources")
        yield from _names(book, "store", rule.prefer, what, *steps, "prefer")
    yield from _names(book, "kind", content.caps.kinds, "caps.kinds", "caps", "kinds")
    for each in shown.names(content.residency):
        key = each.place.split(".")
        yield PolicyName(each.what, each.name, f"{book.origin('residency', *key)}: residency.{each.place}")


def _names(
    book: Book, what: str, words: Iterable[str], who: str, *steps: str | int, sources: tuple[str, ...] = ()
) -> Iterator[PolicyName]:
    for word in words:
        yield PolicyName(what, word, f"{book.origin(*steps)}: {who}", sources)

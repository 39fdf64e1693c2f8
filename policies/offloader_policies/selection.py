"""What the clauses of a policy say about one document, beyond the law: passed to the residency engine."""

from __future__ import annotations

from dataclasses import dataclass

from offloader.model import Retention


@dataclass(frozen=True, slots=True)
class Selection:
    """The clauses that selected a document, and what they ask for together. Hashable: decisions are kept by it."""

    #: ids of the clauses, in the policy's order
    clauses: tuple[str, ...] = ()
    #: categories besides those of the options
    categories: frozenset[str] = frozenset()
    #: stores to choose first, in this order; empty: as in the options
    prefer: tuple[str, ...] = ()
    #: price class to prefer ("STANDARD", "GLACIER_IR"); empty: none
    cost_class: str = ""
    #: full copies in different stores, the chosen one included; residency rules can ask for more
    copies: int = 1
    retention: Retention | None = None


#: no clause says anything
UNSELECTED = Selection()

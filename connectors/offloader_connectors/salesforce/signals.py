"""Signals: fields of the parents that can trigger rules, read for many parents in few calls."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from offloader.model import Document, Parent
from offloader_connectors.salesforce import rows, soql
from offloader_connectors.salesforce.api import Api
from offloader_connectors.salesforce.org import PEOPLE, Org

Paths = Mapping[str, tuple[str, ...]]

DEFAULTS: Mapping[str, Paths] = {
    "*": {"record_type": ("RecordType.DeveloperName",), "owner": ("OwnerId",)},
    "Account": {"country": ("BillingCountryCode", "BillingCountry")},
    "Contact": {"country": ("MailingCountryCode", "MailingCountry")},
    "Lead": {"country": ("CountryCode", "Country")},
    "Case": {"country": ("Account.BillingCountryCode", "Account.BillingCountry")},
    "Opportunity": {"country": ("Account.BillingCountryCode", "Account.BillingCountry")},
    "EmailMessage": {"country": ("Parent.Account.BillingCountryCode", "Parent.Account.BillingCountry")},
}
#: parents remembered during one scan
REMEMBERED = 50_000
#: rows of one query are one page of an answer, so that no second call is needed
_IDS_PER_QUERY = 2000
_DRAFT = "5"


def merged(configured: Mapping[str, Mapping[str, str | tuple[str, ...]]]) -> dict[str, dict[str, tuple[str, ...]]]:
    """The defaults with the operator's additions; an empty list takes a default away."""
    result = {name: dict(paths) for name, paths in DEFAULTS.items()}
    for name, paths in configured.items():
        for signal, path in paths.items():
            result.setdefault(name, {})[signal] = (path,) if isinstance(path, str) else tuple(path)
    return result


class Signals:
    """Reads parents' signals and remembers them for the length of one scan. Used by one thread."""

    def __init__(self, api: Api, org: Org, configured: Mapping[str, Paths]) -> None:
        self._api = api
        self._org = org
        self._configured = configured
        self._known: OrderedDict[str, Mapping[str, str]] = OrderedDict()
        self._paths: dict[str, Paths] = {}
        #: e-mails that are not drafts; files cannot be added to them without a permission
        self.sent: set[str] = set()

    def paths(self, type_name: str) -> Paths:
        """The signals of a type that the org can answer, each with its field paths in order."""
        if type_name not in self._paths:
            usable = {
                signal: tuple(path for path in paths if self._org.has_path(type_name, path))
                for signal, paths in self._wanted(type_name).items()
            }
            self._paths[type_name] = {signal: paths for signal, paths in usable.items() if paths}
        return self._paths[type_name]

    def _wanted(self, type_name: str) -> Paths:
        return {**self._configured.get("*", {}), **self._configured.get(type_name, {})}

    def annotate(self, documents: Iterable[Document]) -> list[Document]:
        """Return the documents with their parents' signals. A parent that cannot be seen has none: unknown.

        Documents that must stay anyway come back as they are: nothing is decided by their parents.
        """
        documents = list(documents)
        self._read(soql.unique(parent.id for each in documents if each.skip is None for parent in each.parents))
        result = [
            each if each.skip else replace(each, parents=tuple(self._with(parent) for parent in each.parents))
            for each in documents
        ]
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return result

    def _with(self, parent: Parent) -> Parent:
        return replace(parent, signals=dict(self._known.get(parent.id, {})))

    def _read(self, ids: Iterable[str]) -> None:
        related = self._fetch([each for each in ids if each not in self._known])
        if related:
            self._fetch([each for each in soql.unique(related.values()) if each not in self._known])
            for email, record in related.items():
                self._known[email] = _inherit(self._known[email], self._known.get(record, {}))

    def _fetch(self, ids: Iterable[str]) -> dict[str, str]:
        """Read records not known yet. Returns the record behind each e-mail, whose signals the e-mail inherits."""
        grouped: dict[str, list[str]] = {}
        for each in ids:
            type_name = self._org.type_of(each)
            if type_name and type_name not in PEOPLE:
                grouped.setdefault(type_name, []).append(each)
        self._learn(grouped)
        statements, types = [], []
        for type_name, members in grouped.items():
            fields = self._fields(type_name)
            if not fields:
                continue
            for part in soql.chunks(members, _IDS_PER_QUERY):
                statements.append(soql.select(", ".join(fields), type_name, f"Id IN {soql.id_list(part)}"))
                types.append(type_name)
        related: dict[str, str] = {}
        for type_name, found in zip(types, self._api.queries(statements) if statements else [], strict=True):
            for row in found:
                self._remember(type_name, row, related)
        return related

    def _learn(self, types: Iterable[str]) -> None:
        """Describe these types, then those that their paths lead to, all of a round together."""
        wanted = [(each, path) for each in types for paths in self._wanted(each).values() for path in paths]
        while missing := [unknown for each, path in wanted if (unknown := self._org.unknown_type(each, path))]:
            self._org.learn(missing)

    def _fields(self, type_name: str) -> list[str]:
        fields = soql.unique(path for paths in self.paths(type_name).values() for path in paths)
        if type_name == "EmailMessage":
            fields += [name for name in ("Status", "ParentId", "RelatedToId") if name in self._org.fields(type_name)]
        return soql.unique(["Id", *fields]) if fields else []

    def _remember(self, type_name: str, row: rows.Row, related: dict[str, str]) -> None:
        record = rows.record_id(row, "Id")
        self._known[record] = {
            signal: next((value for path in paths if (value := rows.scalar(row, path))), "")
            for signal, paths in self.paths(type_name).items()
        }
        if type_name == "EmailMessage":
            if rows.scalar(row, "Status") != _DRAFT:
                self.sent.add(record)
            behind = rows.optional_id(row, "RelatedToId") or rows.optional_id(row, "ParentId")
            if behind:
                related[record] = behind


def _inherit(own: Mapping[str, str], behind: Mapping[str, str]) -> dict[str, str]:
    """The e-mail's own signals; what it lacks comes from the record behind it, except that record's owner."""
    added = {name: value for name, value in behind.items() if value and name != "owner" and not own.get(name)}
    return {**own, **added}

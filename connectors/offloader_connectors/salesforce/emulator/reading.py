"""Query pages and their cursors, and the resources that describe the org."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from offloader_connectors.emulation.wire import Answer
from offloader_connectors.salesforce.emulator.calls import NEWEST, OLDEST, Call
from offloader_connectors.salesforce.emulator.describe import describe_object, summary
from offloader_connectors.salesforce.emulator.errors import SalesforceError
from offloader_connectors.salesforce.emulator.ids import new_id
from offloader_connectors.salesforce.emulator.query import Result
from offloader_connectors.salesforce.emulator.render import whole_record
from offloader_connectors.salesforce.emulator.store import kind_of

_LARGEST, _SMALLEST = 2000, 200


@dataclass(slots=True)
class _Cursor:
    result: Result
    user_id: str
    page: int
    used: datetime
    word: str


class Cursors:
    """Open query results: a few a user, forgotten when not used for a while. They do not outlive the process."""

    def __init__(self) -> None:
        self._cursors: dict[str, _Cursor] = {}
        self._serial = 0

    def clear(self) -> None:
        self._cursors.clear()

    def first(self, call: Call, result: Result, page: int, word: str) -> Answer:
        """The first page; what is left stays open under a locator."""
        if len(result.rows) <= page:
            return Answer(data=_page(result, 0, page, None))
        self._serial += 1
        locator = new_id("01g", self._serial)
        own = [key for key, cursor in self._cursors.items() if cursor.user_id == call.actor.user_id]
        for key in own[: max(0, len(own) - call.app.org.options.locators_per_user + 1)]:
            del self._cursors[key]
        self._cursors[locator] = _Cursor(result, call.actor.user_id, page, call.app.now(), word)
        return Answer(data=_page(result, 0, page, f"{call.base}/{word}/{locator}-{page}"))

    def more(self, call: Call) -> Answer:
        """Raises SalesforceError INVALID_QUERY_LOCATOR."""
        locator, _, offset = call.args[0].rpartition("-")
        cursor = self._cursors.get(locator)
        limit = timedelta(seconds=call.app.org.options.locator_seconds)
        expired = cursor is not None and call.app.now() - cursor.used > limit
        if cursor is None or expired or cursor.user_id != call.actor.user_id or not offset.isdigit():
            self._cursors.pop(locator, None)
            raise SalesforceError("INVALID_QUERY_LOCATOR", "invalid query locator")
        cursor.used = call.app.now()
        start = int(offset)
        end = start + cursor.page
        url = f"{call.base}/{cursor.word}/{locator}-{end}" if end < len(cursor.result.rows) else None
        return Answer(data=_page(cursor.result, start, cursor.page, url))


def _page(result: Result, start: int, size: int, following: str | None) -> dict[str, object]:
    page: dict[str, object] = {"totalSize": result.total, "done": following is None}
    if following:
        page["nextRecordsUrl"] = following
    page["records"] = [result.render(row) for row in result.rows[start : start + size]]
    return page


def query(call: Call) -> Answer:
    return _query(call, "query", deleted=False)


def query_all(call: Call) -> Answer:
    return _query(call, "queryAll", deleted=True)


def _query(call: Call, word: str, *, deleted: bool) -> Answer:
    text = call.request.query.get("q")
    if text is None:
        raise SalesforceError("MALFORMED_QUERY", "A query string has to be specified")
    result = call.app.queries.run(text, call.actor, version=call.version, base=call.base, deleted=deleted)
    call.subjects += [row["Id"] for row in result.rows[:_LARGEST] if isinstance(row.get("Id"), str)]
    return call.app.cursors.first(call, result, 1 if result.one_by_one else _page_size(call), word)


def _page_size(call: Call) -> int:
    for option in call.request.headers.get("sforce-query-options", "").split(","):
        name, _, value = option.partition("=")
        if name.strip().lower() == "batchsize" and value.strip().isdigit():
            return max(_SMALLEST, min(_LARGEST, int(value)))
    return _LARGEST


def query_more(call: Call) -> Answer:
    return call.app.cursors.more(call)


def resources(call: Call) -> Answer:
    names = ("composite", "jobs", "limits", "query", "queryAll", "recent", "sobjects")
    paths = {name: f"{call.base}/{name}" for name in names}
    identity = f"https://{call.host}/id/{call.app.org.organization_id}/{call.actor.user_id}"
    return Answer(data={**paths, "identity": identity})


def versions() -> Answer:
    """All versions that this org speaks; needs no login and is not counted."""
    seasons, listed = ("Summer", "Winter", "Spring"), []
    for number in range(OLDEST, NEWEST + 1):
        year, season = divmod(number - OLDEST, 3)
        label = f"{seasons[season]} '{17 + year + (season > 0)}"
        listed.append({"label": label, "url": f"/services/data/v{number}.0", "version": f"{number}.0"})
    return Answer(data=listed)


def recent(call: Call) -> Answer:
    """The user's last changed records of the objects that have a list of recent ones."""
    rows = [
        row
        for kind in ("Account", "Contact", "Case", "Opportunity", "Lead")
        for row in call.app.org.store.tables[kind].values()
        if row["LastModifiedById"] == call.actor.user_id and not row.get("IsDeleted")
    ]
    rows.sort(key=lambda row: str(row["LastModifiedDate"]), reverse=True)
    asked = call.request.query.get("limit", "")
    most = int(asked) if asked.isdigit() else 200
    listed = [(call.sobject(kind_of(row["Id"]) or ""), row) for row in rows[:most]]
    return Answer(
        data=[
            whole_record(sobject, row, call.base, ["Id", "Name"] if "Name" in sobject.fields else ["Id"])
            for sobject, row in listed
        ]
    )


def limits(call: Call) -> Answer:
    return Answer(data=call.app.limits.table())


def record_count(call: Call) -> Answer:
    wanted = [name for name in call.request.query.get("sObjects", "").split(",") if name]
    known = call.app.org.objects_lower
    names = (
        [known[name.lower()].name for name in wanted if name.lower() in known]
        if wanted
        else sorted(call.app.org.objects)
    )
    counted = []
    for name in names:
        living = sum(1 for row in call.app.org.store.tables[name].values() if not row.get("IsDeleted"))
        if living or wanted:
            counted.append({"count": living, "name": name})
    return Answer(data={"sObjects": counted})


def describe_global(call: Call) -> Answer:
    listed = [summary(sobject, call.base) for sobject in call.app.org.objects.values()]
    listed.sort(key=lambda item: item["name"])
    return Answer(data={"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": listed})


def describe(call: Call) -> Answer:
    return Answer(data=describe_object(call.app.org, call.sobject(call.args[0]), call.base))


def basic(call: Call) -> Answer:
    """An object's summary and the last few records of it."""
    sobject = call.sobject(call.args[0])
    rows = [row for row in call.app.org.store.tables[sobject.name].values() if not row.get("IsDeleted")][-5:]
    recent = [
        whole_record(sobject, row, call.base, ["Id", "Name"] if "Name" in sobject.fields else ["Id"]) for row in rows
    ]
    return Answer(data={"objectDescribe": summary(sobject, call.base), "recentItems": recent})

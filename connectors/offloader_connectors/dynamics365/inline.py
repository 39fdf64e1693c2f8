"""Pictures that the text of a mail shows: `<img src="cid:…">` names an attachment by its content id (RFC 2392)."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote

from offloader.errors import Transient
from offloader_connectors.dynamics365 import mails, odata, rows
from offloader_connectors.dynamics365.api import Api
from offloader_connectors.dynamics365.rows import Row

#: mails whose texts are read at once, and most bytes of such an answer
_TEXTS = 200
LARGEST = 32 << 20
_CID = re.compile(r"cid:([^\"'\s<>)]+)", re.IGNORECASE)


def shown_inline(api: Api, members: Iterable[Row]) -> frozenset[str]:
    """Ids of those rows whose content id the text of their mail names, or whose mail's text is too long to tell.

    Texts are only read of mails that have attachments with a content id.
    """
    named = [row for row in members if rows.optional(row, "attachmentcontentid") and _mail(row)]
    texts = _shown(api, odata.unique(_mail(row) for row in named))
    return frozenset(rows.guid(row, mails.KEY) for row in named if _is_shown(row, texts.get(_mail(row), frozenset())))


def names(text: str) -> frozenset[str]:
    """Content ids that a mail's text names, in lower case."""
    return frozenset(unquote(html.unescape(each)).lower() for each in _CID.findall(text))


def _mail(row: Row) -> str:
    mail = rows.optional_guid(row, "_objectid_value")
    return mail if mail and row.get("objecttypecode") == "email" else ""


def _is_shown(row: Row, found: frozenset[str] | None) -> bool:
    content_id = (rows.optional(row, "attachmentcontentid") or "").strip().strip("<>").lower()
    return found is None or content_id in found


def _shown(api: Api, ids: Sequence[str]) -> Mapping[str, frozenset[str] | None]:
    """Content ids that these mails show; None for a mail that is too long to tell."""
    found: dict[str, frozenset[str] | None] = {}
    waiting = list(odata.chunks(ids, _TEXTS))
    while waiting:
        part = waiting.pop()
        answer = _read(api, part)
        if answer is not None:
            found.update(answer)
        elif len(part) == 1:
            found[part[0]] = None
        else:
            waiting += odata.chunks(part, -(-len(part) // 2))
    return found


def _read(api: Api, ids: Sequence[str]) -> dict[str, frozenset[str]] | None:
    """None if the answer is larger than may be held."""
    path = odata.select("emails", ("activityid", "description"), filter=odata.in_list("activityid", ids))
    content = bytearray()
    stream = api.stream("list.email", path)
    try:
        for chunk in stream:
            content += chunk
            if len(content) > LARGEST:
                return None
    finally:
        stream.close()
    try:
        parsed = json.loads(bytes(content))
    except ValueError as error:
        raise Transient("list.email: the answer is no JSON") from error
    found = parsed.get("value") if isinstance(parsed, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
        raise rows.malformed("list.email", "no list of rows")
    return {rows.guid(row, "activityid"): names(rows.optional(row, "description") or "") for row in found}

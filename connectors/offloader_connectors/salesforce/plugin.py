"""Entry point of the Salesforce source."""

from __future__ import annotations

from typing import Any

from offloader.plugins import Context, SourcePlugin
from offloader.ports import Source
from offloader.records import Records
from offloader_connectors.salesforce.options import SalesforceOptions


def _open(name: str, options: Any, context: Context) -> Source:
    from offloader_connectors.salesforce.source import SalesforceSource  # noqa: PLC0415  network libraries load late

    return SalesforceSource(name, options, context)


def _open_records(source: Source) -> Records:
    from offloader_connectors.salesforce.source import SalesforceSource  # noqa: PLC0415  as above

    assert isinstance(source, SalesforceSource)
    return source.records()


SOURCE = SourcePlugin(
    help="Salesforce: files with all versions, and classic attachments, over the REST API",
    options=SalesforceOptions,
    open=_open,
    storage_price=("salesforce", "file_storage"),
    open_records=_open_records,
)

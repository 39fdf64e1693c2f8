"""Entry point of the Dynamics 365 source."""

from __future__ import annotations

from typing import Any

from offloader.plugins import Context, SourcePlugin
from offloader.ports import Source
from offloader.records import Records
from offloader_connectors.dynamics365.options import DynamicsOptions


def _open(name: str, options: Any, context: Context) -> Source:
    from offloader_connectors.dynamics365.source import DynamicsSource  # noqa: PLC0415  network libraries load late

    return DynamicsSource(name, options, context)


def _open_records(source: Source) -> Records:
    from offloader_connectors.dynamics365.source import DynamicsSource  # noqa: PLC0415  as above

    assert isinstance(source, DynamicsSource)
    return source.records()


SOURCE = SourcePlugin(
    help="Dynamics 365: notes, e-mail attachments, file and image columns, over the Dataverse Web API",
    options=DynamicsOptions,
    open=_open,
    storage_price=("dataverse", "file"),
    open_records=_open_records,
)

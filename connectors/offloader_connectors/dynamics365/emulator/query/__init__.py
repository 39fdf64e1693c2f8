"""Queries: OData lists, single rows, navigation, counts, aggregates."""

from offloader_connectors.dynamics365.emulator.query.run import count, record, records

__all__ = ["count", "record", "records"]

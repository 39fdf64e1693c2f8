"""What plugin authors test with: contract suites (`source_contract`, `store_contract`, which need pytest) and fakes."""

from offloader.testing.clock import EPOCH, FakeClock, context
from offloader.testing.memory_crm import MemoryCrm
from offloader.testing.memory_source import MemorySource
from offloader.testing.memory_store import MemoryStore

__all__ = ["EPOCH", "FakeClock", "MemoryCrm", "MemorySource", "MemoryStore", "context"]

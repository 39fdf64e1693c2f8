"""ReadOnly: a dry run can look at everything and change nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from offloader.errors import Refused
from offloader.model import Link
from offloader.ports import LinkRequest, Source, Status, Store
from offloader.testing import MemorySource, MemoryStore
from offloader.wrappers.readonly import ReadOnlySource, ReadOnlyStore


def test_a_source_is_left_alone() -> None:
    """Every changing call is refused with what it was about to do; every other one answers as the source does."""
    crm = MemorySource()
    refs = [crm.crm.document("File", b"body") for _ in range(2)]
    documents = [document for document in crm.fetch(refs) if document]
    requests = [LinkRequest(document=each, link=Link("l", "https://files.example.com/l")) for each in documents]
    before = copy.deepcopy((crm.crm.rows, crm.crm.links))
    source: Source = ReadOnlySource(crm)
    changing: dict[str, Callable[[], object]] = {
        "link": lambda: source.link(requests),
        "remove": lambda: source.remove(requests),
        "unlink": lambda: source.unlink(requests),
    }
    for action, call in changing.items():
        with pytest.raises(
            Refused, match=rf"^about to {action} 2 documents, the first {refs[0]}, but this is a dry run$"
        ):
            call()
    with pytest.raises(Refused, match=rf"^about to restore {refs[0]}, but this is a dry run$"):
        source.restore(requests[0], lambda version: [b"x"])
    with pytest.raises(Refused, match="nothing"):
        source.link([])
    assert (crm.crm.rows, crm.crm.links) == before
    assert source.check() == crm.check()
    assert [*source.scan("File")] == [*crm.scan("File")]
    assert source.fetch(refs) == documents
    refs_read = [each.version_ref(each.current) for each in documents]
    assert [b"".join(delivery.chunks or ()) for delivery in source.read(refs_read)] == [b"body"] * 2
    assert [outcome.status for outcome in source.inspect(requests)] == [Status.GONE] * 2
    assert source.may_read("nobody", requests) == crm.may_read("nobody", requests)
    assert source.usage() == crm.usage()
    assert (source.name, source.capabilities) == (crm.name, crm.capabilities)


def test_a_store_is_left_alone() -> None:
    """Put, delete and sweep are refused with the key; looking is allowed."""
    memory = MemoryStore("de")
    memory.put("a", [b"x"])
    store: Store = ReadOnlyStore(memory)
    with pytest.raises(Refused, match=r"^about to put de:b, but this is a dry run$"):
        store.put("b", [b"x"])
    with pytest.raises(Refused, match=r"^about to delete de:a, but this is a dry run$"):
        store.delete("a")
    with pytest.raises(Refused, match="sweep de"):
        store.sweep()
    assert [*store.list()] == [("a", 1)]
    assert b"".join(store.read("a")) == b"x"
    assert store.stat("a") == memory.stat("a")
    assert store.prove() == memory.prove()
    assert (store.name, store.capabilities) == (memory.name, memory.capabilities)

"""How many calls the whole job takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from offloader.model import Document
from offloader.ports import LinkRequest, Status
from offloader_connectors.salesforce.emulator.org import FileParent
from offloader_connectors.salesforce.source import SalesforceSource

from .conftest import World, everything, request


def carry_out(source: SalesforceSource, found: list[Document]) -> None:
    """Link and remove documents in the batches that the source declares."""
    size, removal = source.capabilities.link_batch, source.capabilities.remove_batch
    requests: list[LinkRequest] = []
    for start in range(0, len(found), size):
        part = [request(each) for each in found[start : start + size]]
        outcomes = source.link(part)
        assert {each.status for each in outcomes} == {Status.DONE}
        requests += [replace(each, link_ref=dict(done.link_ref)) for each, done in zip(part, outcomes, strict=True)]
    for start in range(0, len(requests), removal):
        assert {each.status for each in source.remove(requests[start : start + removal])} == {Status.DONE}


@pytest.mark.slow
def test_two_thousand_versions(world: World, source: SalesforceSource) -> None:
    """Everything but the downloads takes 60 calls at most for 2,000 versions with 1.2 parents each, logins included."""
    cases = [world.org.insert("Case", {"Subject": f"c{n}", "AccountId": world.account}) for n in range(50)]
    leads = [world.org.insert("Lead", {"LastName": f"l{n}", "Company": "x", "CountryCode": "FR"}) for n in range(50)]
    for number in range(1800):
        parents = [(world.account, cases[number % 50], leads[number % 50])[number % 3]]
        if number % 5 == 0:
            parents.append(world.other)
        shared = [FileParent(each, "V", "AllUsers" if number % 2 else "InternalUsers") for each in parents]
        world.file(f"f{number:04}", *[b"x"] * (2 if number % 9 == 0 else 1), parents=shared)
    world.reset_counters()

    found = list(everything(source.scan("ContentDocument")).values())
    everything(source.scan("Attachment"))
    carry_out(source, found)

    assert sum(len(each.versions) for each in found) == 2000
    assert world.emulator.counters.total <= 60, world.emulator.counters.outer
    assert world.emulator.counters.total == sum(source.usage().requests.values())

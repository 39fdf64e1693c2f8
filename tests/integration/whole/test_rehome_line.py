"""Re-homing by command line on both CRMs: kills, holds, a store that is down, links that always open."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from offloader.cli.serving import served
from offloader.config import load_config
from offloader.model import DocumentRef
from offloader.system import system_context
from offloader.wiring import open_site
from tests.integration.whole.bed import Bed, sha256
from tests.integration.whole.dynamics import Field, large
from tests.integration.whole.ground import Ground
from tests.integration.whole.officers import governed
from tests.integration.whole.test_erase_in_crm import killed

#: just after the ledger knows the new copy, and just after the old copy is gone
STEPS = [("ledger", "place_copies", "1", "after"), ("store", "erase", "1", "after")]


Opens = Callable[[str], str]


def stored(bed: Bed, store: str) -> set[str]:
    """SHA-256 of the documents that a store holds."""
    files = (bed.directory / "stores" / store).rglob("documents/**/*")
    return {sha256(path.read_bytes()) for path in files if path.is_file()}


@contextmanager
def gateway(bed: Bed, user: str) -> Iterator[Opens]:
    """Give the SHA-256 of what a document's link (SOURCE/KIND/ID) opens, for somebody who may read it."""
    config, outside = load_config(bed.config), system_context(bed.directory)
    with open_site(config, outside, exclusive=False, dry_run=True) as site, served(site, config) as at:

        def opens(ref: str) -> str:
            entry = site.ledger.entry(DocumentRef(*ref.split("/")))
            assert entry is not None
            assert entry.link is not None
            headers = {**at.login_headers, "X-Forwarded-User": user}
            with closing(http.client.HTTPConnection(at.host, at.port, timeout=60)) as connection:
                connection.request("GET", f"/d/{entry.link.id}", headers=headers)
                with connection.getresponse() as answer:
                    assert answer.status == 200
                    return sha256(answer.read())

        yield opens


def test_on_salesforce(ground: Ground) -> None:
    """The customer moved: through two kills, each link opens the same bytes at every
    moment, the old place ends empty but for what a hold keeps, and the log has the evidence."""
    governed(ground)
    refs = [f"salesforce/ContentDocument/{ground.file(f'file {number}')}" for number in range(3)]
    held, bodies = refs[2], {ref: sha256(f"the bytes of file {number}".encode()) for number, ref in enumerate(refs)}
    assert ground.offloader("run", expect=(0,))["moved"] == 3
    ground.org.update(ground.account, {"BillingCountryCode": "US"})
    ground.offloader("hold", "add", "--matter", "Roe", "--document", held, "--reason", "claim")

    made = ground.offloader("rehome", "plan")
    assert made["acts"] == {"move": 2, "held": 1}

    with gateway(ground, "owner@example.com") as opens:
        for step in STEPS:
            killed(ground, made["plan"], *step)
            assert {ref: opens(ref) for ref in refs} == bodies
        assert ground.offloader("apply", made["plan"])["states"]["done"] == 2
        assert {ref: opens(ref) for ref in refs} == bodies

    assert stored(ground, "us") == {bodies[ref] for ref in refs[:2]}
    assert stored(ground, "de") == {bodies[held]}
    assert ground.offloader("reconcile", "--deep")["counts"].keys() == {"="}


def test_on_dynamics(field: Field) -> None:
    """A store that is down lets nothing be carried out; when it is back, notes and attachments of mails follow their
    customer, and restore reads them from the new place."""
    note, mailed = field.note(), field.mailed()
    refs = [f"dynamics365/annotation/{note}", f"dynamics365/activitymimeattachment/{mailed}"]
    bodies = {refs[0]: sha256(large("the note note.pdf")), refs[1]: sha256(large("the attachment mailed.pdf"))}
    assert field.offloader("run", expect=(0,))["moved"] == 2
    field.org.update("account", field.account, {"address1_country": "US"})
    made = field.offloader("rehome", "plan")
    assert made["acts"] == {"move": 2}

    place = field.directory / "stores" / "us"
    place.write_text("the folder is not there")
    field.offloader("apply", made["plan"], expect=(1,))
    assert stored(field, "de") == set(bodies.values())
    place.unlink()
    assert field.offloader("apply", made["plan"])["states"] == {"done": 2}

    assert (stored(field, "de"), stored(field, "us")) == (set(), set(bodies.values()))
    with gateway(field, "owner@example.com") as opens:
        assert {ref: opens(ref) for ref in refs} == bodies
    field.offloader("restore", "--all", expect=(0,))
    assert field.bodies("annotation", note) == (bodies[refs[0]],)

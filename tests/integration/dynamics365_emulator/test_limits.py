"""Service protection limits, and what every answer carries."""

from __future__ import annotations

import threading
from datetime import timedelta
from email.utils import parsedate_to_datetime

from offloader_connectors.emulation.blobs import Synthetic
from tests.integration.dynamics365_emulator.conftest import NOON, Crm, part, statuses

REQUESTS, TIME = "x-ms-ratelimit-burst-remaining-xrm-requests", "x-ms-ratelimit-time-remaining-xrm-requests"


def test_every_answer_says_what_is_left(crm: Crm) -> None:
    """Requests as digits, seconds with a thousands comma, the hint, ids and the affinity cookies."""
    crm.protocol(operation_ms=0.0, mebibyte_ms=0.0)
    answer = crm.get("WhoAmI")
    assert (answer.headers[REQUESTS], answer.headers[TIME]) == ("7999", "1,200.00")
    assert answer.headers["x-ms-dop-hint"] == "16"
    assert len(answer.headers["REQ_ID"]) == 36
    assert answer.headers["x-ms-service-request-id"].endswith(f",{answer.headers['REQ_ID']}")
    assert set(answer.cookies.keys()) == {"ARRAffinity", "ReqClientId"}
    assert crm.get("accounts(nonsense)").headers[REQUESTS] == "7998"


def test_too_many_requests(crm: Crm) -> None:
    """Over the limit 429 with the seconds to wait; ignoring them doubles the wait; after the window it is over."""
    crm.protocol(requests=3, parallelism=1)
    for _ in range(3):
        assert crm.get("WhoAmI").status_code == 200
    refused = crm.get("WhoAmI")
    text = "Number of requests exceeded the limit of 3 over time window of 300 seconds."
    assert crm.error(refused) == (429, "0x80072322", text)
    assert refused.headers["Retry-After"] == "300"
    assert crm.get("WhoAmI").headers["Retry-After"] == "420"
    crm.org.shift = timedelta(seconds=301)
    crm.login()
    assert crm.get("WhoAmI").status_code == 200


def test_limits_are_per_user(crm: Crm) -> None:
    """One user's calls do not use up another's."""
    crm.protocol(requests=1)
    assert [crm.get("WhoAmI").status_code for _ in range(2)] == [200, 429]
    crm.as_user("System Administrator")
    assert crm.get("WhoAmI").status_code == 200


def test_execution_time_is_charged_by_bytes(crm: Crm) -> None:
    """A large download costs time; when it is used up, 429 of its own kind, with the wait as a date if so set."""
    crm.protocol(execution_seconds=1.0, operation_ms=0.0, mebibyte_ms=100.0, retry_after="date")
    note = crm.note(crm.account(), body=Synthetic(9 << 20))
    assert crm.get("WhoAmI").headers[TIME] == "1.00"
    assert crm.get(f"annotations({note})/documentbody/$value").status_code == 200
    refused = crm.get("WhoAmI")
    status, code, text = crm.error(refused)
    assert (status, code) == (429, "0x80072321")
    assert text.startswith("Combined execution time of incoming requests exceeded limit of 1,000  milliseconds over")
    assert parsedate_to_datetime(refused.headers["Retry-After"]) == NOON + timedelta(seconds=300)


def test_too_many_at_once(crm: Crm) -> None:
    """More calls at once than allowed: the third kind of 429."""
    crm.protocol(concurrent=2)
    crm.emulator.latency_ms = 150
    found: list[int] = []

    def call() -> None:
        with crm.anonymous() as session:
            session.headers["Authorization"] = crm.session.headers["Authorization"]
            answer = session.get(f"{crm.base}WhoAmI")
            found.append(answer.status_code)
            if answer.status_code == 429:
                assert crm.error(answer)[1] == "0x80072326"

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 429 in found
    assert 200 in found


def test_a_batch_counts_once_or_is_throttled_by_part(crm: Crm) -> None:
    """As a whole a batch is one request; where parts are throttled, the later ones are 429 with their own wait."""
    get = part("GET", "/api/data/v9.2/WhoAmI")
    crm.protocol(requests=2)
    assert list(statuses(crm.batch(*[get] * 5))) == [200] * 5
    assert crm.get("WhoAmI").status_code == 200
    assert crm.batch(get).status_code == 429
    crm.emulator.app.limits.clear()
    crm.protocol(requests=4, batch_throttle="parts")
    answer = crm.batch(*[get] * 6, Prefer="odata.continue-on-error")
    assert list(statuses(answer)) == [200] * 4 + [429, 429]
    assert answer.text.count("Retry-After: ") == 2


def test_long_addresses_and_large_bodies(crm: Crm) -> None:
    """A URL over 32 KiB is 414, inside a batch 64 KiB are allowed; a body over the cap is 413; both are HTML."""
    crm.protocol(body_bytes=200_000)
    account = crm.account()

    def path(size: int) -> str:
        address = f"accounts({account})?$select=name&tag="
        return address + "x" * (size - len(address) - len("/api/data/v9.2/"))

    assert crm.get(path(32_768)).status_code == 200
    refused = crm.get(path(32_769))
    assert (refused.status_code, refused.headers["Content-Type"]) == (414, "text/html; charset=utf-8")
    root = "/api/data/v9.2/"
    answer = crm.batch(part("GET", root + path(65_536)), part("GET", root + path(65_537)))
    assert list(statuses(answer)) == [200, 414]
    assert crm.post("accounts", {"name": "x", "description": "y" * 200_000}).status_code == 413


def test_preferences_are_confirmed(crm: Crm) -> None:
    """Preference-Applied names what was heeded."""
    asked = {"Prefer": 'odata.maxpagesize=7,odata.include-annotations="*"'}
    applied = crm.get("accounts", headers=asked).headers["Preference-Applied"]
    assert applied == 'odata.maxpagesize=7,odata.include-annotations="*"'
    tracked = crm.get("annotations?$select=subject", headers={"Prefer": "odata.track-changes"})
    assert tracked.headers["Preference-Applied"] == "odata.track-changes"
    assert "@odata.deltaLink" in tracked.json()


def test_the_count_of_a_table_may_be_old(crm: Crm) -> None:
    """RetrieveTotalRecordCount counts again only after its time."""
    crm.protocol(count_seconds=3600)
    path = "RetrieveTotalRecordCount(EntityNames=['account','contact'])"

    def counted() -> list[int]:
        found: list[int] = crm.get(path).json()["EntityRecordCountCollection"]["Values"]
        return found

    crm.account()
    assert counted() == [1, 0]
    crm.account()
    assert counted() == [1, 0]
    crm.org.shift = timedelta(seconds=3600)
    crm.login()
    assert counted() == [2, 0]
    assert crm.get(path).json()["EntityRecordCountCollection"]["Keys"] == ["account", "contact"]

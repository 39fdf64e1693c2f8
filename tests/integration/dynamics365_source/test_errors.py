"""Logins that expire, answers that are lost, cut, refused or throttled, addresses that lead away."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from offloader.errors import AuthError, Conflict, Exhausted, Gone, OffloaderError, Permanent, Throttled, Transient
from offloader_connectors.dynamics365.api import Api, Part
from offloader_connectors.dynamics365.session import Token
from offloader_connectors.dynamics365.source import DynamicsSource

from .bench import World
from .conftest import Open, documents

SETTINGS = "organizations?$select=organizationid"


@pytest.fixture
def api(source: DynamicsSource) -> Api:
    """The connection of a source that has logged in."""
    source._api.get("whoami", "WhoAmI")
    return source._api


def logins(world: World) -> int:
    return world.emulator.counters.outer["token"]


# -- login ------------------------------------------------------------------------------------------------------


def test_threads_share_one_login(world: World, source: DynamicsSource) -> None:
    """Eight threads that begin together log in once."""
    world.note()
    found: list[int] = []
    failed: list[OffloaderError] = []

    def scan() -> None:
        try:
            found.append(len(documents(source.scan("annotation"))))
        except OffloaderError as error:
            failed.append(error)

    threads = [threading.Thread(target=scan) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert (found, failed) == ([1] * 8, [])
    assert logins(world) == 1


def test_an_expired_token_is_renewed_once(world: World, source: DynamicsSource) -> None:
    """A token that the environment drops is replaced by one login, and the request is made again."""
    world.note()
    documents(source.scan("annotation"))
    world.emulator.app.auth.expire_all()

    assert len(documents(source.scan("annotation"))) == 1
    assert logins(world) == 2


def test_a_token_that_never_works_ends_in_an_error(world: World, source: DynamicsSource) -> None:
    """An environment that refuses a fresh token is not asked in circles."""
    world.emulator.faults.load([{"on": "*", "do": "status", "status": 401}])
    world.emulator.faults.rules[0].on = "whoami"

    with pytest.raises(AuthError):
        source._api.get("whoami", "WhoAmI")

    assert logins(world) <= 1


@pytest.mark.parametrize("certificate", [False, True])
def test_secret_and_certificate(world: World, open_source: Open, certificate: bool) -> None:
    """Both ways to log in work, with the tenant configured or asked of the environment."""
    world.note()
    options = world.emulator.certificate_options if certificate else world.emulator.source_options
    wanted = {name: options.get(name) for name in ("client_secret", "certificate")}
    for tenant in (None, world.emulator.tenant):
        source = open_source(min_size=0, tenant=tenant, **wanted)
        assert len(documents(source.scan("annotation"))) == 1


def test_no_secret_reaches_a_log_or_an_error(world: World, open_source: Open, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the client secret nor a token is in any log line or error of a failing run."""
    caplog.set_level(logging.DEBUG)
    secret = (world.directory / "dynamics365_client_secret").read_text().strip()
    source = open_source(min_size=0)
    world.note()
    documents(source.scan("annotation"))
    token = source._api._session.token()
    said = [repr(token)]
    for status in (400, 401, 403, 404, 500, 503):
        world.fault(on="*", do="status", status=status)
        with pytest.raises(OffloaderError) as caught:
            documents(source.scan("filecolumn"))
        said += [str(caught.value), repr(caught.value)]
        world.clock.move(minutes=10)
    text = "\n".join([*said, caplog.text])

    assert secret not in text
    assert token.value not in text


def test_the_environment_of_the_process_does_not_matter(
    world: World, open_source: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bundles and proxies that environment variables name are not used."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, "/nowhere.pem")
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    world.note()

    assert len(documents(open_source(min_size=0).scan("annotation"))) == 1


def test_no_cookie_is_kept(world: World, source: DynamicsSource) -> None:
    """Affinity cookies are not sent back."""
    assert world.emulator.protocol.affinity_cookies
    documents(source.scan("annotation"))

    assert len(source._api._connection.cookies) == 0


# -- pace -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_throttled_source_waits(world: World, source: DynamicsSource, api: Api, form: str) -> None:
    """After a 429 nothing is asked until Retry-After is over; each refusal here says how long that still takes."""
    world.emulator.protocol = world.emulator.protocol.changed({"requests": 3, "retry_after": form})
    api.get("list.organization", SETTINGS)
    api.get("list.organization", SETTINGS)
    with pytest.raises(Throttled) as caught:
        api.get("list.organization", SETTINGS)
    pause = caught.value.retry_after
    assert pause is not None
    assert pause > timedelta(0)

    world.reset_counters()
    world.clock.move(seconds=1)
    with pytest.raises(Throttled) as again:
        documents(source.scan("annotation"))
    assert again.value.retry_after == pause - timedelta(seconds=1)
    assert world.emulator.counters.total == 0

    world.emulator.protocol = world.emulator.protocol.changed({"requests": 8000})
    world.clock.move(seconds=pause.total_seconds())
    documents(source.scan("annotation"))


def test_a_throttled_part_holds_the_rest_back(world: World, api: Api) -> None:
    """A part of a batch that is answered 429 comes as such, and the next request waits as long as it says."""
    world.fault(on="list.organization", do="status", status=429, nth=2, retry_after=40)
    answers = api.batch("batch", [Part("GET", SETTINGS)] * 3)

    assert [answer.status for answer in answers] == [200, 429, 200]
    assert isinstance(answers[1].error(), Throttled)
    with pytest.raises(Throttled) as caught:
        api.get("whoami", "WhoAmI")
    assert caught.value.retry_after == timedelta(seconds=40)


def test_the_hint_is_heeded(world: World, api: Api) -> None:
    """The number of requests at once follows what the environment recommends."""
    assert (api.lanes.limit, api.lanes.hint) == (8, 16)
    world.emulator.protocol = world.emulator.protocol.changed({"parallelism": 3})
    api.get("whoami", "WhoAmI")

    assert api.lanes.limit == 3
    assert api.lanes.rates.requests is not None


def test_the_daily_budget_counts_operations(world: World, open_source: Open) -> None:
    """Operations of batches count; when the budget is spent, nothing more is asked."""
    source = open_source(budget={"daily_requests": 12})
    api = source._api
    api.batch("batch", [Part("GET", SETTINGS)] * 10)
    with pytest.raises(Exhausted) as caught:
        api.batch("batch", [Part("GET", SETTINGS)] * 3)
    assert caught.value.resume_after is not None
    api.batch("batch", [Part("GET", SETTINGS)] * 2)
    assert (source.usage().used, source.usage().limit) == (12, 12)
    assert world.emulator.counters.outer["batch"] == 2


# -- answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"do": "drop_before"}, Transient),
        ({"do": "drop_after_commit"}, Transient),
        ({"do": "truncate"}, Transient),
        ({"do": "truncate", "clean": True}, Transient),
        ({"do": "status", "status": 503, "body": "<html>down</html>"}, Transient),
        ({"do": "status", "status": 502}, Transient),
        ({"do": "status", "status": 200, "body": '{"value":['}, Transient),
        ({"do": "status", "status": 500, "body": {"error": {"code": "0x80044150", "message": "1205"}}}, Transient),
        ({"do": "status", "status": 200, "body": "[]"}, Permanent),
        ({"do": "status", "status": 200, "body": '{"value":{}}'}, Permanent),
        ({"do": "status", "status": 200, "body": '{"value":[5]}'}, Permanent),
        ({"do": "status", "status": 302, "headers": {"Location": "https://elsewhere.example/"}}, Permanent),
        ({"do": "status", "status": 404}, Gone),
        ({"do": "status", "status": 412}, Conflict),
    ],
)
def test_answers_of_all_kinds(world: World, api: Api, fault: dict[str, Any], kind: type[OffloaderError]) -> None:
    """Each bad answer to a list is the right error, and the next request is answered again."""
    world.emulator.faults.load([{"on": "list.organization", "times": 1, **fault}])

    with pytest.raises(kind) as caught:
        api.get("list.organization", SETTINGS).rows()

    if isinstance(caught.value, Transient):
        assert not caught.value.maybe_done
    assert len(api.get("list.organization", SETTINGS).rows()) == 1


@pytest.mark.parametrize("fault", [{"do": "drop_after_commit"}, {"do": "truncate"}, {"do": "status", "status": 504}])
def test_a_write_whose_answer_is_lost_may_be_done(world: World, api: Api, fault: dict[str, Any]) -> None:
    """A single write and a batch of writes both say so."""
    path = f"accounts({world.record()})?$select=name"
    shown = {"Prefer": "return=representation"}
    acts: dict[str, Callable[[], object]] = {
        "patch.account": lambda: api.send("patch.account", "PATCH", path, {"name": "x"}, headers=shown),
        "batch": lambda: api.batch("batch", [Part("PATCH", path, {"name": "x"}, shown)]),
    }
    for on, act in acts.items():
        world.emulator.faults.load([{"on": on, "times": 1, **fault}])
        with pytest.raises(Transient) as caught:
            act()
        assert caught.value.maybe_done


def test_a_server_that_is_not_there_has_done_nothing(world: World, open_source: Open) -> None:
    """A write that could not even connect is certainly not done."""
    source = open_source(url="https://127.0.0.1:9", tenant="x")
    source._api._session._token = Token("t", float("inf"))

    with pytest.raises(Transient) as caught:
        source._api.send("patch.account", "PATCH", "accounts(x)", {})

    assert not caught.value.maybe_done


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/api/data/v9.2/organizations",
        "http://{host}/api/data/v9.2/organizations",
        "https://{host}.evil.example/api/data/v9.2/organizations",
        "https://user@{host}/api/data/v9.2/organizations",
        "//evil.example/api/data/v9.2/organizations",
        "/main.aspx",
    ],
)
def test_links_lead_to_the_same_environment_only(world: World, api: Api, link: str) -> None:
    """A next page anywhere else is not asked for: the token would go along."""
    host = world.emulator.url.removeprefix("https://")
    body = json.dumps({"value": [], "@odata.nextLink": link.format(host=host)})
    world.fault(on="list.organization", do="status", status=200, body=body, times=1)
    world.reset_counters()

    with pytest.raises(Permanent):
        list(api.pages("list.organization", SETTINGS))

    assert world.emulator.counters.total == 1


def test_a_page_that_leads_to_itself_ends(world: World, api: Api) -> None:
    """A list that never ends is an error, not a loop."""
    link = f"{world.emulator.url}/api/data/v9.2/{SETTINGS}"
    world.fault(
        on="list.organization", do="status", status=200, body=json.dumps({"value": [], "@odata.nextLink": link})
    )

    with pytest.raises(Permanent):
        list(api.pages("list.organization", SETTINGS))


def test_rows_out_of_order_are_not_believed(world: World, source: DynamicsSource) -> None:
    """A listing by row versions that comes in another order, or an empty page that is not the last, is an error."""
    world.shared()
    world.shared()
    (page,) = source.scan("activitymimeattachment")
    rows = list(world.org.rows("activitymimeattachment"))
    shown = [
        {"activitymimeattachmentid": row["activitymimeattachmentid"], "versionnumber": row["versionnumber"]}
        for row in rows
    ]
    for value, link in ((shown[::-1], None), ([], "https://x/"), ([{"versionnumber": "x"}], None)):
        body = {"value": value, **({"@odata.nextLink": link} if link else {})}
        world.fault(on="list.activitymimeattachment", do="status", status=200, body=json.dumps(body), times=1)
        with pytest.raises(Permanent):
            list(source.scan("activitymimeattachment", since=page.watermark))


@pytest.mark.parametrize("status", [200, 206])
def test_a_stream_gives_its_lane_back(world: World, open_source: Open, status: int) -> None:
    """A stream that is read, given up, or refused does not keep others from going on, even with a single lane."""
    source = open_source(min_size=0, concurrency=1)
    api = source._api
    for rest in (True, False):
        stream = api.stream("list.organization", SETTINGS)
        if rest:
            assert json.loads(b"".join(stream))["value"]
        stream.close()
        stream.close()
    world.fault(on="list.organization", do="status", status=404, times=1)
    with pytest.raises(Gone):
        api.stream("list.organization", SETTINGS)
    done = threading.Event()
    thread = threading.Thread(target=lambda: (api.get("list.organization", SETTINGS), done.set()))
    thread.start()
    assert done.wait(20)
    thread.join()


def test_a_stream_that_is_cut_says_so(world: World, api: Api) -> None:
    """The chunks of an answer that breaks off end in an error."""
    world.fault(on="list.organization", do="truncate", times=1)
    stream = api.stream("list.organization", SETTINGS)
    try:
        with pytest.raises(Transient):
            b"".join(stream)
    finally:
        stream.close()


def test_a_scan_that_breaks_off_goes_on(world: World, open_source: Open) -> None:
    """After an error in the middle, the last page's cursor leads to the rest."""
    ids = {world.shared() for _ in range(5)}
    source = open_source(min_size=0, page_size=2)
    listing = source.scan("activitymimeattachment")
    first = next(listing)
    world.fault(on="list.activitymimeattachment", do="truncate", times=1)
    with pytest.raises(Transient):
        next(listing)
    rest = source.scan("activitymimeattachment", cursor=first.cursor)

    assert documents([first, *rest]).keys() == ids


def test_a_kind_that_may_not_be_listed_hides_everything(world: World, source: DynamicsSource) -> None:
    """Without any privilege to read notes a scan says what it cannot see, and keeps its watermark."""
    world.note()
    since = [*source.scan("annotation")][-1].watermark
    user = world.org.get("systemuser", world.org.integration_user)
    assert user is not None
    world.org.user(username=str(user["domainname"]), roles=["prvReadUser"])
    world.clock.move(minutes=5)

    (page,) = source.scan("annotation", since=since)

    assert [spot.code for spot in page.blind_spots] == ["not-readable"]
    assert (page.documents, page.watermark) == ((), since)

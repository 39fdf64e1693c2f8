"""What goes wrong between us and the org."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any, ClassVar

import pytest

from offloader.errors import AuthError, ConfigError, Exhausted, Gone, OffloaderError, Permanent, Throttled, Transient
from offloader.model import Digest, Document
from offloader_connectors import tls
from offloader_connectors.salesforce.emulator.options import OrgOptions
from offloader_connectors.salesforce.options import SalesforceOptions
from offloader_connectors.salesforce.source import SalesforceSource

from .conftest import World, everything, read


def only(source: SalesforceSource) -> Document:
    (document,) = everything(source.scan("ContentDocument")).values()
    return document


def error_body(code: str, message: str = "m") -> list[dict[str, str]]:
    return [{"message": message, "errorCode": code}]


class TestReading:
    def test_bytes(self, world: World, source: SalesforceSource) -> None:
        """Every version's bytes come as they are, an empty one too."""
        world.file("f", b"one", b"", bytes(range(256)) * 5000)
        document = only(source)

        assert read(source, document, 0) == b"one"
        assert read(source, document, 1) == b""
        assert read(source, document) == bytes(range(256)) * 5000
        assert source.usage().requests["blob.get"] == 3

    def test_attachment(self, world: World, source: SalesforceSource) -> None:
        """An attachment's bytes come as they are."""
        world.attachment(world.account, body=b"abc")
        (document,) = everything(source.scan("Attachment")).values()

        assert read(source, document) == b"abc"

    def test_chunked_answers(self, world: World, source: SalesforceSource) -> None:
        """A body without a declared length is read whole."""
        world.org.options = OrgOptions(content_length=False)
        world.file("f", b"x" * 300_000)

        assert len(read(source, only(source))) == 300_000

    def test_cut_short(self, world: World, source: SalesforceSource) -> None:
        """A body that ends before its declared length is an error, never a short file."""
        world.file("f", b"x" * 300_000)
        document = only(source)
        world.fault(on="blob.get", do="truncate", times=1)

        with pytest.raises(Transient):
            read(source, document)
        assert len(read(source, document)) == 300_000

    def test_deleted_meanwhile(self, world: World, source: SalesforceSource) -> None:
        """A version that is gone is reported as gone."""
        ids = world.file("f")
        document = only(source)
        world.org.delete(ids.document_id)

        with pytest.raises(Gone):
            read(source, document)

    def test_maintenance_page(self, world: World, source: SalesforceSource) -> None:
        """A maintenance page is worth another try, after the pause that it asks for."""
        world.file("f")
        document = only(source)
        world.fault(on="blob.get", do="status", status=503, retry_after=7, times=1)

        with pytest.raises(Transient) as caught:
            read(source, document)
        assert caught.value.retry_after is not None
        assert caught.value.retry_after.total_seconds() == 7

    def test_given_up(self, world: World, source: SalesforceSource) -> None:
        """A body that was left for the next one is an error when it is read on, never a short file."""
        world.file("f", b"x" * 3_000_000, b"second")
        document = only(source)
        deliveries = source.read([document.version_ref(version) for version in document.versions])
        first = next(deliveries)
        assert first.chunks is not None
        assert next(first.chunks)
        second = next(deliveries)

        assert second.chunks is not None
        assert b"".join(second.chunks) == b"second"
        with pytest.raises(Transient):
            next(first.chunks)

    def test_large_bodies_wait_for_each_other(self, world: World) -> None:
        """With one slot for large downloads, a second one begins when the first has ended or was given up."""
        big = b"x" * (9 * 1024 * 1024)
        world.file("a", big)
        world.file("b", big)
        source = world.source(max_long_requests=1)
        one, two = everything(source.scan("ContentDocument")).values()
        abandoned = next(source.read([one.version_ref(one.current)]))
        assert abandoned.chunks is not None
        assert next(abandoned.chunks)
        del abandoned

        assert two.current.checksum is not None
        assert Digest.of(read(source, two)).matches(two.current.checksum)


class TestSessions:
    def test_ended_in_mid_run(self, world: World, source: SalesforceSource) -> None:
        """When the session has ended, one new login is made and the call repeated."""
        world.file("f")
        document = only(source)
        world.clock.move(hours=3)

        assert read(source, document) == b"hello f"
        assert source.usage().requests["oauth2/token"] == 2

    def test_refused_for_ever(self, world: World, source: SalesforceSource) -> None:
        """A session that is refused again and again ends in an error, after two logins at most."""
        world.file("f")
        document = only(source)
        world.fault(
            on="blob.get", do="status", status=401, body=error_body("INVALID_SESSION_ID", "Session expired or invalid")
        )

        for _ in range(3):
            with pytest.raises(AuthError):
                read(source, document)
        assert source.usage().requests["oauth2/token"] <= 3

    @pytest.mark.parametrize(
        "text", ["This session is not valid for use with the REST API", "Connected app is not attached to Agent"]
    )
    def test_hopeless(self, world: World, source: SalesforceSource, text: str) -> None:
        """Sessions that no login can mend are not renewed."""
        world.file("f")
        document = only(source)
        world.fault(on="blob.get", do="status", status=401, body=error_body("INVALID_SESSION_ID", text))

        with pytest.raises(AuthError, match="not help"):
            read(source, document)
        assert source.usage().requests["oauth2/token"] == 1

    def test_jwt(self, world: World) -> None:
        """The JWT bearer flow logs in as the named user."""
        options = {
            "client_secret": None,
            "private_key": "file:salesforce_jwt.pem",
            "username": "integration@offloader.example",
        }
        world.file("f")

        assert only(world.source(**options)).title == "f"

    @pytest.mark.parametrize(
        "options",
        [
            {"client_id": "nobody"},
            {"client_secret": None, "private_key": "file:salesforce_jwt.pem", "username": "nobody@example.com"},
            {
                "client_secret": None,
                "private_key": "file:salesforce_jwt.pem",
                "username": "integration@offloader.example",
                "audience": "https://elsewhere.example",
            },
        ],
    )
    def test_wrong_login(self, world: World, options: dict[str, Any]) -> None:
        """A refused login is an error that says why and holds no secret."""
        with pytest.raises(AuthError) as caught:
            list(world.source(**options).scan("ContentDocument"))
        assert (world.directory / "salesforce_client_secret").read_text() not in str(caught.value)

    def test_wrong_key(self, world: World) -> None:
        """A private key that is none is a configuration error that does not repeat it."""
        (world.directory / "bad.pem").write_text("not a key")
        options = {"client_secret": None, "private_key": "file:bad.pem", "username": "integration@offloader.example"}
        with pytest.raises(ConfigError) as caught:
            list(world.source(**options).scan("ContentDocument"))
        assert "not a key" not in str(caught.value)

    def test_untrusted_certificate(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Bundles named by the environment are not trusted: without ca_file the emulated org is refused."""
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.setenv(name, str(world.emulator.ca_file))

        with pytest.raises(Transient, match="ca_file"):
            list(world.source(ca_file=None).scan("ContentDocument"))

    def test_missing_ca_file(self, tmp_path: Path) -> None:
        """A CA file that is not there is a configuration error."""
        options = SalesforceOptions.model_validate(
            {"login_url": "https://x.example", "client_id": "k", "client_secret": "env:S", "ca_file": "no.pem"}
        )
        with pytest.raises(ConfigError, match=r"no\.pem"):
            tls.trusting(options.ca_file, tmp_path)

    def test_certificates_are_checked(self, tmp_path: Path) -> None:
        """The TLS context verifies host and certificate."""
        options = SalesforceOptions.model_validate(
            {"login_url": "https://x.example", "client_id": "k", "client_secret": "env:S"}
        )
        context = tls.trusting(options.ca_file, tmp_path)

        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname


class TestLimits:
    @pytest.mark.parametrize(
        ("status", "code", "message", "kind"),
        [
            (403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", Exhausted),
            (403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded.", Throttled),
            (403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.", Throttled),
            (403, "API_DISABLED_FOR_ORG", "The REST API is not enabled for this Organization.", AuthError),
            (400, "QUERY_TIMEOUT", "Your query request was running for too long.", Transient),
            (400, "INVALID_QUERY_LOCATOR", "invalid query locator", Transient),
            (400, "TXN_SECURITY_METERING_ERROR", "too long", Transient),
            (400, "MALFORMED_QUERY", "unexpected token", Permanent),
            (500, "UNKNOWN_EXCEPTION", "An unexpected error occurred. 1234-5678", Transient),
            (503, "SERVER_UNAVAILABLE", "busy", Transient),
        ],
    )
    def test_answers(
        self, world: World, source: SalesforceSource, status: int, code: str, message: str, kind: type[OffloaderError]
    ) -> None:
        """Each of the org's errors reaches the engine as what it should do."""
        world.fault(on="query", do="status", status=status, body=error_body(code, message))

        with pytest.raises(kind):
            list(source.scan("ContentDocument"))

    @pytest.mark.parametrize("status", [406, 420, 429, 503])
    def test_pages_instead_of_json(self, world: World, source: SalesforceSource, status: int) -> None:
        """An HTML page with an error status is worth another try."""
        world.fault(on="query", do="status", status=status, body="<html>We are setting things up</html>")

        with pytest.raises(Transient):
            list(source.scan("ContentDocument"))

    def test_no_answer(self, world: World, source: SalesforceSource) -> None:
        """A connection that breaks before an answer is worth another try, and a read was never half-done."""
        world.fault(on="query", do="drop_before", times=1)

        with pytest.raises(Transient) as caught:
            list(source.scan("ContentDocument"))
        assert not caught.value.maybe_done

    def test_org_budget(self, world: World) -> None:
        """Calls stop at the share that is left to others, with the time to come back."""
        world.org.options = OrgOptions(daily_requests=30)
        source = world.source(budget={"leave": 0.5})
        world.file("f")
        document = only(source)

        def read_on() -> None:
            for _ in range(30):
                read(source, document)

        with pytest.raises(Exhausted) as caught:
            read_on()

        usage = source.usage()
        assert caught.value.resume_after
        assert usage.limit == 30
        assert usage.used is not None
        assert usage.used <= 16

    def test_own_budget(self, world: World) -> None:
        """The operator's number of calls is kept to."""
        source = world.source(budget={"daily_calls": 1})
        with pytest.raises(Exhausted):
            list(source.scan("ContentDocument"))

        assert sum(world.calls().values()) == 1

    def test_secrets_stay_out_of_errors(self, world: World, source: SalesforceSource) -> None:
        """No token stands in any error of the connector."""
        world.file("f")
        document = only(source)
        token = source._api.session.token().value
        for rule in ({"do": "drop_before"}, {"do": "status", "status": 400}, {"do": "truncate"}):
            world.fault(on="blob.get", **rule)
            with pytest.raises(OffloaderError) as caught:
                read(source, document)
            chain: BaseException | None = caught.value
            while chain is not None:
                assert token not in str(chain)
                assert token not in repr(chain)
                chain = chain.__cause__


def test_compressed_on_the_way(world: World, source: SalesforceSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where something on the way compresses bodies unasked, they are read by the client that decodes them."""
    world.file("f", b"plain bytes")
    document = only(source)

    class Compressed:
        status = 200
        headers: ClassVar = {"Content-Encoding": "gzip"}

        def close(self) -> None:
            """Nothing was read of it."""

    monkeypatch.setattr(source._api, "download", lambda *_: Compressed())

    assert read(source, document) == b"plain bytes"


def test_connections_are_used_again(world: World, source: SalesforceSource) -> None:
    """One download after the other goes over one connection, also after one that the server has closed meanwhile."""
    for number in range(3):
        world.file(f"f{number}", f"body {number}".encode())
    found = everything(source.scan("ContentDocument")).values()
    assert [read(source, each) for each in found] == [b"body 0", b"body 1", b"body 2"]
    idle = source._api._downloads._idle
    ((_, connection),) = idle
    first = next(iter(found))
    connection.sock.shutdown(socket.SHUT_RDWR)

    assert read(source, first) == b"body 0"
    ((_, fresh),) = idle
    assert fresh is not connection

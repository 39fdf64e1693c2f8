"""What an S3 store's options refuse before anything is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from offloader.errors import ConfigError
from offloader.testing import context
from offloader_connectors.s3.client import make_clients
from offloader_connectors.s3.options import S3Options
from offloader_connectors.s3.plugin import STORE

GOOD = {"bucket": "documents", "region": "eu-central-1"}


def options(**more: Any) -> S3Options:
    return S3Options.model_validate({**GOOD, **more})


@pytest.mark.parametrize(
    "bucket",
    [
        "arn:aws:s3:eu-central-1:123456789012:accesspoint/documents",
        "arn:aws:s3::123456789012:accesspoint/m.mrap",
        "m5kxb2d.mrap",
        "documents-1234567890abcdefghijklmnop-s3alias",
        "documents-abc--ol-s3",
        "documents--euc1-az1--x-s3",
        "xn--documents",
        "192.168.0.1",
        "a..b",
        "ab",
        "Documents",
        "a/b",
        "",
        "d" * 64,
    ],
)
def test_only_a_buckets_own_name_is_taken(bucket: str) -> None:
    """ARNs and aliases lead to other buckets, maybe in other regions: they are refused."""
    with pytest.raises(ValidationError):
        options(bucket=bucket)


@pytest.mark.parametrize("region", ["", "aws-global", "us-east-1-as-default", "EU", "eu-central-1.", "*", "eu central"])
def test_a_region_is_one_place(region: str) -> None:
    """Names by which the AWS client would choose a place itself are refused."""
    with pytest.raises(ValidationError):
        options(region=region)


@pytest.mark.parametrize(
    "url",
    [
        "http://s3.example.net",
        "ftp://s3.example.net",
        "https://user:secret@s3.example.net",
        "https://s3.example.net/path",
        "https://s3.example.net?a=b",
        "https://s3.us-east-1.amazonaws.com",
        "https://s3.amazonaws.com",
        "https://documents.s3-accelerate.amazonaws.com",
        "s3.example.net",
    ],
)
def test_an_endpoint_is_encrypted_and_in_the_region(url: str) -> None:
    """Clear text over the net, secrets in addresses, and addresses of AWS in other regions are refused."""
    with pytest.raises(ValidationError) as caught:
        options(endpoint_url=url)
    assert "secret" not in str(caught.value.errors(include_input=False))
    with pytest.raises(ValidationError):
        options(service_endpoints={"kms": "http://kms.example.net"})


@pytest.mark.parametrize(
    ("url", "is_aws"),
    [
        (None, True),
        ("https://s3.eu-central-1.amazonaws.com", True),
        ("https://bucket.vpce-1a2b-3c.s3.eu-central-1.vpce.amazonaws.com", True),
        ("https://s3.example.net:9000/", False),
        ("http://127.0.0.1:9000", False),
        ("http://[::1]:9000", False),
    ],
)
def test_what_counts_as_aws(url: str | None, is_aws: bool) -> None:
    """Only AWS's own addresses are AWS."""
    assert options(endpoint_url=url).is_aws is is_aws


@pytest.mark.parametrize(
    "more",
    [
        {"access_key": "env:A"},
        {"secret_key": "env:A"},
        {"session_token": "env:A"},
        {"access_key": "AKIAIOSFODNN7EXAMPLE", "secret_key": "env:B"},
        {"provider": "wasabi"},
        {"prefix": "/a/"},
        {"prefix": "a"},
        {"prefix": "../"},
        {"prefix": "a b/"},
        {"storage_class": "DEEP_ARCHIVE"},
        {"storage_class": "standard"},
        {"expected_owner": "1234"},
        {"object_lock": {"mode": "COMPLIANCE"}},
        {"object_lock": {"days": 1}, "checksum": "off"},
        {"part_size": 1},
        {"max_concurrency": 0},
        {"no_such_option": 1},
    ],
)
def test_what_does_not_go_together_is_refused(more: dict[str, Any]) -> None:
    """Half a login, a literal secret, a class that cannot be opened at once, a lock without its term: refused."""
    with pytest.raises(ValidationError):
        options(**more)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", "https://elsewhere.example"),
        ("AWS_ENDPOINT_URL_S3", "https://elsewhere.example"),
    ],
)
def test_an_environment_that_says_otherwise_is_refused(name: str, value: str, tmp_path: Path) -> None:
    """A region or endpoint in the environment that differs stops the store, unless it is told to pass over it."""
    environ = {name: value}
    with pytest.raises(ConfigError, match=name):
        STORE.open("s3", options(), context(tmp_path, environ=environ))
    STORE.open("s3", options(ignore_environment=True), context(tmp_path, environ=environ))
    same = {"AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL": "https://s3.eu-central-1.amazonaws.com/"}
    STORE.open("s3", options(endpoint_url="https://s3.eu-central-1.amazonaws.com"), context(tmp_path, environ=same))


def test_the_environment_has_no_effect_on_a_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the AWS client would read from the environment by itself changes neither place, nor trust, nor retries."""
    for name, value in {
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "https://elsewhere.example",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_S3_USE_ARN_REGION": "true",
        "AWS_MAX_ATTEMPTS": "9",
        "AWS_CA_BUNDLE": "/nowhere.pem",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_supported",
        "HTTPS_PROXY": "http://elsewhere.example:3128",
        "AWS_ACCESS_KEY_ID": "other",
        "AWS_SECRET_ACCESS_KEY": "other",
    }.items():
        monkeypatch.setenv(name, value)
    given = options(access_key="env:A", secret_key="env:B")
    client = make_clients(given, context(tmp_path, environ={"A": "key", "B": "secret"})).s3
    assert client.meta.endpoint_url == "https://s3.eu-central-1.amazonaws.com"
    assert client.meta.config.retries == {"mode": "standard", "total_max_attempts": 1}
    assert client.meta.config.proxies == {}
    assert client.meta.config.request_checksum_calculation == "when_required"
    assert client._endpoint.http_session._verify is True
    assert client._request_signer._credentials.access_key == "key"
    url = client.generate_presigned_url("get_object", Params={"Bucket": "documents", "Key": "k"})
    assert url.startswith("https://documents.s3.eu-central-1.amazonaws.com/k?")


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "documents.s3.eu-central-1.amazonaws.com"),
        ("us-east-1", "documents.s3.us-east-1.amazonaws.com"),
        ("us-gov-west-1", "documents.s3.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "documents.s3.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "documents.s3.eusc-de-east-1.amazonaws.eu"),
    ],
)
def test_every_partition_has_its_own_addresses(region: str, host: str, tmp_path: Path) -> None:
    """A store talks to its region's own host, never to a global one."""
    given = options(region=region, access_key="env:A", secret_key="env:B")
    client = make_clients(given, context(tmp_path, environ={"A": "key", "B": "secret"})).s3
    assert host in client.generate_presigned_url("get_object", Params={"Bucket": "documents", "Key": "k"})


def test_credentials_of_another_provider_are_not_shown_to_aws(tmp_path: Path) -> None:
    """Questions to other services of a server that is not AWS go to that server too."""
    given = {"endpoint_url": "https://s3.example.net", "access_key": "env:A", "secret_key": "env:B"}
    clients = make_clients(options(**given), context(tmp_path, environ={"A": "key", "B": "secret"}))
    assert clients.other("kms").meta.endpoint_url == "https://s3.example.net"
    assert clients.other("kms") is clients.other("kms")
    own = make_clients(
        options(**given, service_endpoints={"kms": "https://kms.example.net"}),
        context(tmp_path, environ={"A": "k", "B": "s"}),
    )
    assert own.other("kms").meta.endpoint_url == "https://kms.example.net"


def test_a_missing_bundle_or_secret_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    """What the options refer to and is not there is named when it is first needed."""
    with pytest.raises(ConfigError, match="ca_file"):
        _ = make_clients(options(ca_file="none.pem"), context(tmp_path)).s3
    with pytest.raises(ConfigError, match="NO_SUCH"):
        _ = make_clients(options(access_key="env:NO_SUCH", secret_key="env:B"), context(tmp_path)).s3

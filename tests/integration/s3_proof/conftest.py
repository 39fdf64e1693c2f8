"""The proof against servers that speak the real protocol: ministack as a process, moto within this one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from moto import mock_aws

from offloader.model import LocationProof
from offloader.plugins import Context
from offloader_connectors.s3.client import Clients, make_clients
from offloader_connectors.s3.options import S3Options
from offloader_connectors.s3.proof import prove

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TRIES = 400
#: what neither server implements as AWS does: said in AWS's words
UNIMPLEMENTED: dict[str, Any] = {
    "s3.GetBucketMetadataConfiguration": (404, "MetadataConfigurationNotFound"),
    "s3control.ListJobs": {"Jobs": []},
}
#: what moto does not implement besides
UNKNOWN_TO_MOTO: dict[str, Any] = {
    **UNIMPLEMENTED,
    "account.ListRegions": {"Regions": [{"RegionName": "eu-central-1", "RegionOptStatus": "ENABLED_BY_DEFAULT"}]},
    "backup.ListCopyJobs": {"CopyJobs": []},
    "backup.ListRecoveryPointsByResource": {"RecoveryPoints": []},
    "s3.GetBucketPolicyStatus": (404, "NoSuchBucketPolicy"),
    "s3control.ListAccessPointsForObjectLambda": {"ObjectLambdaAccessPointList": []},
}


class Led:
    """The store's own clients, led to a server here after they have signed for AWS; some answers are made up."""

    def __init__(self, clients: Clients, answers: dict[str, Any], port: int | None = None) -> None:
        self._clients = clients
        self._answers = answers
        self._port = port
        self._led: set[int] = set()
        self._lock = threading.Lock()

    @property
    def s3(self) -> Any:
        return self._lead(self._clients.s3)

    def other(self, service: str, region: str | None = None) -> Any:
        return self._lead(self._clients.other(service, region))

    def _lead(self, client: Any) -> Any:
        with self._lock:
            if id(client) not in self._led:
                self._led.add(id(client))
                client.meta.events.register("before-call", self._answer)
                if self._port:
                    client.meta.events.register("before-send", self._send_here)
        return client

    def _answer(self, model: Any, **_: Any) -> Any:
        answer = self._answers.get(f"{model.service_model.service_name}.{model.name}")
        if isinstance(answer, tuple):
            status, code = answer
            meta = {"HTTPStatusCode": status, "HTTPHeaders": {}}
            return SimpleNamespace(status_code=status, raw=None), {"Error": {"Code": code}, "ResponseMetadata": meta}
        return answer and (SimpleNamespace(status_code=200, raw=None), dict(answer))

    def _send_here(self, request: Any, **_: Any) -> None:
        parts = urlsplit(request.url)
        request.headers["Host"] = parts.netloc
        request.url = parts._replace(scheme="http", netloc=f"127.0.0.1:{self._port}").geturl()


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(
        now=lambda: NOW,
        sleep=lambda seconds: None,
        monotonic=lambda: 0.0,
        random=lambda: 0.5,
        environ={"KEY": "test"},
        directory=tmp_path,
    )


@pytest.fixture
def make_options() -> Callable[..., S3Options]:
    def make(bucket: str, owner: str, **changes: Any) -> S3Options:
        given = {"bucket": bucket, "region": "eu-central-1", "expected_owner": owner}
        return S3Options.model_validate({**given, "access_key": "env:KEY", "secret_key": "env:KEY", **changes})

    return make


@pytest.fixture(scope="session")
def ministack() -> Iterator[int]:
    """Start ministack on loopback; gives its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    own = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "MINISTACK_REGION": "eu-central-1"}
    process = subprocess.Popen(
        [Path(sys.executable).with_name("ministack")],
        env={**os.environ, **own},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(TRIES):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            with suppress(subprocess.TimeoutExpired):
                pytest.fail(f"ministack ended with {process.wait(0.05)}")
        yield port
    finally:
        process.terminate()
        process.wait(20)


class Aws:
    """A made-up AWS to set up with ordinary clients, and to prove against."""

    def __init__(self, context: Context, options: S3Options, answers: dict[str, Any], port: int | None) -> None:
        self.options = options
        self.answers = answers
        self._own = make_clients(options, context)
        self._clients = Led(self._own, answers, port)

    def client(self, service: str, region: str = "eu-central-1") -> Any:
        return self._clients.other(service, region)

    def bucket(self, name: str, region: str = "eu-central-1") -> str:
        """Make a versioned bucket."""
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self.client("s3", region).create_bucket(Bucket=name, **place)
        self.client("s3", region).put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def prove(self) -> LocationProof:
        return prove(self._clients, self.options, "de", NOW)

    def close(self) -> None:
        self._own.close()


@pytest.fixture
def on_ministack(
    ministack: int, context: Context, make_options: Callable[..., S3Options], request: pytest.FixtureRequest
) -> Iterator[Aws]:
    """A bucket of its own in Frankfurt, on ministack taken for AWS."""
    name = f"archive-{abs(hash(request.node.name))}"
    aws = Aws(context, make_options(name, "000000000000"), dict(UNIMPLEMENTED), ministack)
    aws.bucket(name)
    yield aws
    aws.close()


@pytest.fixture
def on_moto(context: Context, make_options: Callable[..., S3Options]) -> Iterator[Aws]:
    """A bucket in Frankfurt, on moto taken for AWS."""
    with mock_aws():
        aws = Aws(context, make_options("archive", "123456789012"), dict(UNKNOWN_TO_MOTO), None)
        aws.bucket("archive")
        yield aws
        aws.close()

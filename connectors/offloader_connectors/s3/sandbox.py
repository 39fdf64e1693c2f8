"""An S3 server for a demonstration: `ministack` (PyPI) on loopback, with a bucket in each country's region."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from offloader.errors import ConfigError
from offloader.plugins import Context

#: a region of AWS in each country of the demonstration
REGIONS: Mapping[str, str] = {"DE": "eu-central-1", "US": "us-east-1", "AU": "ap-southeast-2", "BR": "sa-east-1"}
_ROUNDS, _ROUND_S = 600, 0.1
_KEY = "test"


class S3Sandbox:
    """Serves until `close`; what it holds is in memory. Implements `offloader.plugins.StoreSandbox`."""

    bare: Mapping[str, Any] | None = None

    def __init__(self, directory: Path, countries: Sequence[str], context: Context) -> None:
        """Raises ConfigError if it is not installed or does not start, or for a country without a region."""
        if unknown := [country for country in countries if country not in REGIONS]:
            raise ConfigError(f"the S3 sandbox has no region in {', '.join(unknown)}")
        beside = Path(sys.executable).with_name("ministack")
        program = str(beside) if beside.exists() else shutil.which("ministack", path=context.environ.get("PATH"))
        if program is None:
            raise ConfigError("ministack is not installed: pip install ministack")
        directory.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environ = {name: value for name, value in context.environ.items() if not name.upper().endswith("_PROXY")}
        environ |= {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "MINISTACK_REGION": REGIONS["DE"]}
        with (directory / "ministack.log").open("wb") as log:
            self._process = subprocess.Popen([program], cwd=directory, env=environ, stdout=log, stderr=log)  # noqa: S603
        try:
            self._wait(port, context)
            self.url = f"http://127.0.0.1:{port}"
            self.options = {country: self._bucket(directory, country) for country in countries}
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait(self, port: int, context: Context) -> None:
        for _ in range(_ROUNDS):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            if self._process.poll() is not None:
                break
            context.sleep(_ROUND_S)
        raise ConfigError("ministack did not start; its log is ministack.log in the demonstration's directory")

    def _bucket(self, directory: Path, country: str) -> dict[str, Any]:
        region, bucket = REGIONS[country], f"documents-{country.lower()}"
        session = boto3.session.Session(aws_access_key_id=_KEY, aws_secret_access_key=_KEY)
        config = Config(proxies={}, s3={"addressing_style": "path"})
        client = session.client("s3", endpoint_url=self.url, region_name=region, config=config)
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        client.create_bucket(Bucket=bucket, **place)
        secret = directory.resolve() / "s3.key"
        secret.touch(mode=0o600)
        secret.write_text(_KEY, encoding="ascii")
        return {
            "bucket": bucket,
            "region": region,
            "endpoint_url": self.url,
            "access_key": f"file:{secret}",
            "secret_key": f"file:{secret}",
            "provider": "ministack",
            "country": country,
            "attested_by": "the sandbox, for demonstration only",
            "attested_until": "9999-12-31",
        }

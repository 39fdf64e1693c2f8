"""Starts Azurite, which comes by npm: `npm install --prefix FOLDER azurite@3.37.0`."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import subprocess
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path

from offloader.errors import ConfigError

VERSION = "3.37.0"
_MAIN = "node_modules/azurite/dist/src/blob/main.js"


def home(environ: Mapping[str, str]) -> Path:
    """Where Azurite is looked for: OFFLOADER_AZURITE, else the user's cache folder."""
    if named := environ.get("OFFLOADER_AZURITE"):
        return Path(named)
    cache = environ.get("XDG_CACHE_HOME") or f"{environ.get('HOME', '')}/.cache"
    return Path(cache) / "offloader" / "azurite"


def how_to_install(environ: Mapping[str, str]) -> str:
    return f"npm install --prefix {home(environ)} azurite@{VERSION} (needs Node.js 20 or newer)"


def is_installed(environ: Mapping[str, str]) -> bool:
    return (home(environ) / _MAIN).is_file() and shutil.which("node", path=environ.get("PATH")) is not None


class Azurite:
    """One Azurite process on loopback, over HTTPS, holding its blobs below `directory` (or in memory).

    `url` is the address of the account; `key` its shared key, in base64. It takes any bearer token that looks right.
    """

    ACCOUNT = "sandbox"

    def __init__(
        self,
        directory: Path,
        certificate: Path,
        environ: Mapping[str, str],
        sleep: Callable[[float], None],
        *,
        in_memory: bool = True,
    ) -> None:
        """Start, and wait until it answers. Raises ConfigError if it is not installed or does not start."""
        node = shutil.which("node", path=environ.get("PATH"))
        if node is None or not is_installed(environ):
            raise ConfigError(f"Azurite is not installed: {how_to_install(environ)}")
        directory.mkdir(parents=True, exist_ok=True)
        self.key = b64encode(b"offloader sandbox".ljust(32, b".")).decode()
        port = _free_port()
        self.url = f"https://127.0.0.1:{port}/{self.ACCOUNT}"
        place = ["--inMemoryPersistence"] if in_memory else ["--location", str(directory)]
        flags = (
            f"--silent --disableTelemetry --skipApiVersionCheck --oauth basic --blobHost 127.0.0.1 --blobPort {port}"
        )
        pem = str(certificate)
        self.log = directory / "azurite.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603  our own command line
                [node, str(home(environ) / _MAIN), *flags.split(), "--cert", pem, "--key", pem, *place],
                cwd=directory,
                env={**environ, "AZURITE_ACCOUNTS": f"{self.ACCOUNT}:{self.key}"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._wait(port, sleep)

    def close(self) -> None:
        """Stop it; what it holds on disk is written first."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def _wait(self, port: int, sleep: Callable[[float], None]) -> None:
        for _ in range(600):
            if self.process.poll() is not None:
                break
            if _answers(port):
                return
            sleep(0.05)
        self.process.kill()
        raise ConfigError(f"Azurite does not start: {self.log.read_text(errors='replace')[-500:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, context.wrap_socket(plain):
            return True
    except OSError:
        return False

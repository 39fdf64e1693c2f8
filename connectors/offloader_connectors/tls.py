"""Whom to trust: the system's certificate authorities and the operator's own, whatever the environment says."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

from offloader.errors import ConfigError


def trusting(ca_file: Path | None, directory: Path) -> ssl.SSLContext:
    """A client's context, TLS 1.2 at least. `ca_file` is relative to `directory`. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    paths = ssl.get_default_verify_paths()
    file, folder = (path if Path(path).exists() else None for path in (paths.openssl_cafile, paths.openssl_capath))
    if sys.platform == "win32" or not (file or folder):
        context.load_default_certs()
    else:
        context.load_verify_locations(cafile=file, capath=folder)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=directory / ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"ca_file {directory / ca_file} is no readable PEM bundle") from error
    return context

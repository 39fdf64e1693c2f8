"""Checks a certificate of erasure without offloader: `python3 check_certificate.py CERTIFICATE.json [PUBLIC_KEY]`.

Give the public key that you were told long before; without one, only the statement is compared with what was signed.
The signature is a compact JWS (RFC 7515) with Ed25519; the `openssl` program checks it (version 3 or newer).
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signed(signature: str, public: str) -> bool | None:
    """Whether the signature is by this key; None without openssl."""
    if shutil.which("openssl") is None:
        return None
    content, _, mark = signature.rpartition(".")
    with tempfile.TemporaryDirectory() as folder:
        key, text, sig = (Path(folder, name) for name in ("key", "text", "sig"))
        key.write_bytes(bytes.fromhex("302a300506032b6570032100") + decode(public))
        text.write_bytes(content.encode())
        sig.write_bytes(decode(mark))
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", str(key)]
        command += ["-rawin", "-in", str(text), "-sigfile", str(sig)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603


def check(value: dict[str, Any], public: str | None) -> list[str]:
    signature = value.pop("signature")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    lines = [f"SHA-256 of the statement: {hashlib.sha256(text.encode('ascii')).hexdigest()}"]
    gone = [copy["gone"] for each in value["documents"] for copy in each["copies"]]
    lines.append(f"{sum(gone)} of {len(gone)} copies are gone; {len(value['not_reached'])} places not reached yet")
    if not signature:
        return [*lines, "the certificate is NOT signed"]
    if json.loads(decode(signature.split(".")[1])) != value:
        sys.exit("the certificate is not what was signed")
    good = signed(signature, public) if public else None
    if good is False:
        sys.exit("the signature is not by this key")
    return [*lines, "signature: good" if good else "signature: NOT checked against a key"]


if __name__ == "__main__":
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print("\n".join(check(found, sys.argv[2] if len(sys.argv) > 2 else None)))

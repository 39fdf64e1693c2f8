"""Checks what `offloader audit prove` wrote, without offloader: `python3 check_inclusion.py proof.json [PUBLIC_KEY]`.

Give the public key that you were told long before; the one in the file proves nothing about who wrote the file.
Hashes are checked here; the signature by the `openssl` program, if there is one (version 3 or newer).
"""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def root_of(leaf, index, size, path):
    """RFC 9162, section 2.1.3.2."""
    node, last = leaf, size - 1
    for step in map(bytes.fromhex, path):
        if index % 2 or index == last:
            node = sha256(b"\1", step, node)
            while not index % 2 and index:
                index, last = index // 2, last // 2
        else:
            node = sha256(b"\1", node, step)
        index, last = index // 2, last // 2
    return node.hex() if last == 0 else "a proof of another length"


def signed(signature, public):
    """Whether the signature is good; None without openssl."""
    if shutil.which("openssl") is None:
        return None
    content, _, mark = signature.rpartition(".")
    with tempfile.TemporaryDirectory() as folder:
        key, text, sig = (Path(folder, name) for name in ("key", "text", "sig"))
        key.write_bytes(bytes.fromhex("302a300506032b6570032100") + decode(public))
        text.write_bytes(content.encode())
        sig.write_bytes(decode(mark))
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", key]
        command += ["-rawin", "-in", text, "-sigfile", sig]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603


proof = json.loads(Path(sys.argv[1]).read_text())
checkpoint, signature = proof["checkpoint"], proof["signature"]
for each in proof["events"]:
    event = each["event"]
    text = json.dumps(event, sort_keys=True, separators=(",", ":"))
    leaf = sha256(b"\0", text.encode("ascii"))
    if root_of(leaf, event["seq"] - 1, checkpoint["size"], each["proof"]) != checkpoint["root"]:
        sys.exit(f"event {event['seq']} is not in the log that the checkpoint was made of")
if signature and json.loads(decode(signature.split(".")[1])) != checkpoint:
    sys.exit("the signature is over another checkpoint")
public = sys.argv[2] if len(sys.argv) > 2 else proof["public_key"]
good = signed(signature, public) if signature and public else None
if good is False:
    sys.exit("the signature is not by this key")
print(f"{proof['document']}: {len(proof['events'])} events are in the log of {checkpoint['at']}")
print("signature: good" if good else "signature: NOT checked" if signature else "the checkpoint is NOT signed")

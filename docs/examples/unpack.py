"""Unpacks a store without offloader: `python3 unpack.py STORE TARGET`."""

import hashlib
import json
import re
import sys
from pathlib import Path

store, target = Path(sys.argv[1]), Path(sys.argv[2])
for segment in sorted(store.glob("catalog/*/*.jsonl")):
    for line in segment.read_text(encoding="ascii").splitlines():
        document = json.loads(line)
        for version in document["versions"]:
            body = (store / version["key"]).read_bytes()
            if hashlib.sha256(body).hexdigest() != version["sha256"]:
                sys.exit(f"{version['key']} is not what was stored")
            folder = target / document["kind"] / document["id"] / str(version["number"])
            folder.mkdir(parents=True, exist_ok=True)
            name = re.sub(r"[^\w .()+,-]", "_", version["name"])[-100:].strip(" .") or "document"
            (folder / name).write_bytes(body)

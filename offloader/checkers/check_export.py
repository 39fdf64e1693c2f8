"""Checks what `offloader audit export` wrote, without offloader: `python3 check_export.py [FOLDER]`.

It follows the chain of events, and compares the Merkle tree's root and the newest hash at every checkpoint. Signatures
are compact JWS (RFC 7515) with Ed25519 under `public_key.txt`: check them with any JOSE library, or by `offloader audit
verify --checkpoint`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from pathlib import Path


def canonical(event: dict[str, object]) -> bytes:
    return json.dumps(event, sort_keys=True, separators=(",", ":")).encode("ascii")


def add(edge: list[bytes], count: int, event: dict[str, object]) -> None:
    """Put the event, the `count`th, into the tree whose right edge this is."""
    node, rest = hashlib.sha256(b"\0" + canonical(event)).digest(), count - 1
    while rest % 2:
        node, rest = hashlib.sha256(b"\1" + edge.pop() + node).digest(), rest // 2
    edge.append(node)


def root_of(edge: list[bytes]) -> str:
    root = edge[-1]
    for left in reversed(edge[:-1]):
        root = hashlib.sha256(b"\1" + left + root).digest()
    return root.hex()


def check(folder: Path) -> str:
    lines = (folder / "checkpoints.jsonl").read_text(encoding="ascii").splitlines()
    due = {each["size"]: each for each in (json.loads(line)["checkpoint"] for line in lines)}
    head, count, edge = "0" * 64, 0, list[bytes]()
    with gzip.open(folder / "events.jsonl.gz", "rt", encoding="ascii") as events:
        for count, line in enumerate(events, 1):
            event = json.loads(line)
            bare = {name: value for name, value in event.items() if name != "hash"}
            head = hashlib.sha256(head.encode("ascii") + canonical(bare)).hexdigest()
            if (event["seq"], event["hash"]) != (count, head):
                sys.exit(f"event {count} is missing, out of order, or was changed")
            add(edge, count, event)
            told = due.pop(count, None)
            if told is not None and (told["root"], told["head"]) != (root_of(edge), head):
                sys.exit(f"event {count} or one before it is not what the checkpoint was made of")
    if due:
        sys.exit(f"the log ends at event {count}, but there is a checkpoint over {max(due)}")
    return f"{count} events hold together and fit {len(lines)} checkpoints; the newest has the hash {head}"


if __name__ == "__main__":
    print(check(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent))

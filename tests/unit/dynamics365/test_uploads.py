"""Large bodies are written as JSON while they are sent."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from offloader_connectors.dynamics365 import uploads


def cut(data: bytes, luck: random.Random) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        length = luck.randint(1, 7)
        yield data[start : start + length]
        start += length


@given(st.binary(max_size=200), st.none() | st.text(max_size=20), st.randoms(use_true_random=False))
def test_the_text_is_json_of_the_length_that_was_announced(data: bytes, name: str | None, luck: random.Random) -> None:
    """Any body in any pieces, beside any name, is what a JSON parser reads, and exactly as long as said."""
    sent: dict[str, Any] = {}

    class Api:
        def send(self, operation: str, method: str, path: str, **content: Any) -> Any:
            sent.update(content, text=b"".join(content["data"]))
            return type("Answer", (), {"body": None})

    class Environment:
        def settings(self) -> Any:
            return type("Settings", (), {"max_upload": 10**9})

    given_ = uploads.Uploads(Api(), Environment(), {})  # type: ignore[arg-type]
    shelf, row = uploads.NOTE_ROWS, "11111111-2222-3333-4444-555555555555"
    given_._streamed(shelf, row, 'W/"1"', {"filename": name}, lambda: cut(data, luck))
    assert json.loads(sent["text"]) == {"filename": name, "documentbody": base64.b64encode(data).decode()}
    assert sent["headers"]["Content-Length"] == str(len(sent["text"]))
    assert sent["headers"]["If-Match"] == 'W/"1"'

"""Streams cut into parts: nothing lost, nothing added, every buffer given back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offloader_connectors.s3.bucket import b64, composite
from offloader_connectors.s3.cutting import Buffers, cut

#: a buffer that is not given back is waited for without end
pytestmark = pytest.mark.timeout(30)


@given(st.lists(st.binary(max_size=40)), st.integers(1, 16), st.integers(0, 30))
def test_parts_joined_are_the_stream(chunks: list[bytes], size: int, held: int) -> None:
    """Parts are the stream in order, each full but the last, exactly one of them the last; one buffer is enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("offloader_connectors.s3.cutting.HELD", held)
        buffers = Buffers(1, size)
        bodies, lasts = [], []
        for part in cut(iter(chunks), buffers):
            bodies.append(bytes(part.body))
            lasts.append(part.last)
            part.release()
            part.release()
        buffers.give(buffers.take())
    whole = b"".join(chunks)
    assert b"".join(bodies) == whole
    assert lasts == [False] * (len(bodies) - 1) + [True]
    assert all(len(body) == size for body in bodies[:-1])
    assert len(bodies[-1]) <= size or bodies[-1] == b""
    assert len(bodies) == max(1, -(-len(whole) // size))


def test_an_error_gives_the_buffer_back() -> None:
    """A stream that breaks off, or is not asked for more, keeps no buffer."""
    buffers = Buffers(1, 4)

    def broken() -> Iterator[bytes]:
        yield b"123"
        yield b"456"
        raise KeyError

    parts = cut(broken(), buffers)
    next(parts).release()
    with pytest.raises(KeyError):
        next(parts)
    parts = cut(iter([b"123", b"456", b"789"]), buffers)
    first = next(parts)
    parts.close()
    first.release()
    buffers.give(buffers.take())


def test_a_body_in_one_piece_is_not_copied() -> None:
    """A document that comes whole passes as the very same bytes, and needs no buffer."""
    body = bytes(100)
    (part,) = cut([body], Buffers(1, 100))
    assert part.body is body


def test_checksums_as_s3_writes_them() -> None:
    """Digests are base64; that of parts is the digest of their digests, and their number."""
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert b64(empty) == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert composite([empty, empty]) == "LbpdvDOecxauomg/r4OcG3se4jE9t5IRJYgRjfBmqjU=-2"

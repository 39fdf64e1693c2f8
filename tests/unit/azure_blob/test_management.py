"""Strange answers of the management API leave the place unproven, and nothing is raised."""

from __future__ import annotations

import gzip

import pytest

from offloader.model import Assurance

from .conftest import MakeStore, Said, Stub

JSON = {"Content-Type": "application/json"}
ZIPPED = {**JSON, "Content-Encoding": "gzip"}
ARM = {"subscription": "s", "resource_group": "g", "token": "env:TOKEN"}


@pytest.mark.parametrize(
    "said",
    [
        Said(200, b"no gzip at all", ZIPPED),
        Said(200, gzip.compress(b'{"a": "' + b"0" * (64 << 20) + b'"}'), ZIPPED),
        Said(200, gzip.compress(b"{}")[:-6], ZIPPED),
        Said(200, b"\xff\xfe", JSON),
        Said(200, b"", JSON),
        Said(200, b'"text"', JSON),
        Said(200, b'{"sku": NaN, "properties": [1]}', JSON),
        Said(204, b"", JSON),
        Said(429, b"{}", JSON),
        Said(302, b"", {"Location": "https://127.0.0.1:1/"}),
    ],
    ids=range(10),
)
def test_strange_answers_prove_nothing(stub: Stub, make_store: MakeStore, said: Said) -> None:
    """Broken, endless, empty and senseless answers are bad news, not errors."""
    stub.says["*"] = said
    proof = make_store({"TOKEN": "made-up"}, arm={**ARM, "endpoint": stub.url}).prove()
    assert proof.assurance is Assurance.UNPROVEN
    assert not proof.countries
    assert len(proof.summary) < 1000


def test_secrets_that_are_missing_are_bad_news(make_store: MakeStore) -> None:
    """A store without its secrets proves nothing, and says which is missing."""
    proof = make_store({"KEY": ""}, arm={**ARM, "endpoint": "https://127.0.0.1:1"}).prove()
    assert proof.assurance is Assurance.UNPROVEN
    assert "environment variable TOKEN is not set" in proof.summary
    assert "environment variable KEY is not set" in proof.summary

"""Signed statements: compact JWS with Ed25519 (RFC 7515, RFC 8037), checkable with any JOSE library.

A private key is a JWK (RFC 7517) in JSON, as `new_key` makes it; a public key is the base64url text of its `x`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from offloader.audit import canonical
from offloader.errors import ConfigError, IntegrityError

_ALGORITHM = "Ed25519"


def new_key() -> str:
    """A new private key, as JSON text for a secret's file."""
    return canonical(OKPKey.generate_key("Ed25519").as_dict(private=True))


def public_key(private: str) -> str:
    """The public key (base64url) of a private one. Raises ConfigError if that is none; the text is never repeated."""
    return str(_private(private).as_dict(private=False)["x"])


def sign(statement: Mapping[str, Any], private: str) -> str:
    """A compact JWS over the statement's canonical JSON. Raises ConfigError if the key is none."""
    key = _private(private)
    header = {"alg": _ALGORITHM, "kid": public_key(private)}
    return jws.serialize_compact(header, canonical(statement), key, algorithms=[_ALGORITHM])


def opened(signature: str, public: str) -> dict[str, Any]:
    """The statement that was signed. Raises IntegrityError unless the signature is by this public key."""
    try:
        key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": public})
        found = jws.deserialize_compact(signature, key, algorithms=[_ALGORITHM])
        statement = json.loads(found.payload)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise IntegrityError(f"a signature does not hold: {error.__class__.__name__}") from error
    if not isinstance(statement, dict):
        raise IntegrityError("a signature does not hold: it is not over a statement")
    return statement


def _private(text: str) -> OKPKey:
    try:
        key = OKPKey.import_key(json.loads(text))
        if key.curve_name != "Ed25519" or not key.is_private:
            raise ValueError
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            "a signing key must be an Ed25519 private key as JSON (a JWK), as `offloader audit key` makes it"
        ) from error
    return key

"""Who speaks: people of the configuration, recognised by their account of this machine or by a key they hold.

Nobody is recognised by a name that was typed. What a person says is a statement, signed with the person's own key
where the configuration knows one, else with the key of the audit log where there is one, else not at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from offloader import signing
from offloader.audit import canonical
from offloader.config import PersonOptions
from offloader.errors import ConfigError, IntegrityError, Refused

#: how a plan names who made it, where the account belongs to nobody in `people`
ACCOUNT = "account:"


def thumbprint(public: str) -> str:
    """The JWK thumbprint (RFC 7638) of an Ed25519 public key."""
    key = canonical({"crv": "Ed25519", "kty": "OKP", "x": public})
    return base64.urlsafe_b64encode(hashlib.sha256(key.encode("ascii")).digest()).rstrip(b"=").decode("ascii")


@dataclass(frozen=True, slots=True)
class Speaker:
    """A recognised person: the short name in `people`, the role, and by what the person was recognised.

    `proof` is "login:jdevries" or "key:" and the key's thumbprint.
    """

    name: str
    role: str
    proof: str
    _key: str | None = field(default=None, repr=False)

    def sign(self, statement: Mapping[str, Any]) -> str:
        """A compact JWS over the statement; empty where nobody can sign it."""
        return signing.sign(statement, self._key) if self._key is not None else ""


def _no_key() -> str | None:
    return None


class People:
    """Everybody in `people` by short name. `audit_key` gives the private key that signs for those who have none."""

    __slots__ = ("_audit_key", "persons")

    def __init__(
        self, persons: Mapping[str, PersonOptions] | None = None, audit_key: Callable[[], str | None] = _no_key
    ) -> None:
        self.persons = dict(persons or {})
        self._audit_key = audit_key

    def speaker(self, account: str, key: str | None = None) -> Speaker:
        """Recognise who works under this account, or holds this private key (a JWK as text).

        Raises Refused, saying what is missing in `people`, when that is nobody, or not certainly one person.
        """
        return self._by_login(account) if key is None else self._by_key(account, key)

    def _by_login(self, account: str) -> Speaker:
        found = [name for name, person in self.persons.items() if person.login == account]
        if not found:
            raise Refused(
                f"the account {account} is nobody in `people`; put into offloader.yaml, under `people`, a person with "
                f"`name`, `role` and `login: {account}`",
                rule="people",
            )
        if len(found) > 1:
            raise Refused(
                f"{' and '.join(found)} share the account {account}: who speaks is not known without a key (--key)",
                rule="people",
            )
        person = self.persons[found[0]]
        if person.public_key is not None:
            raise Refused(f"{found[0]} signs with a key of their own: give it with --key FILE", rule="people")
        return Speaker(found[0], person.role, f"login:{account}", self._audit_key())

    def _by_key(self, account: str, key: str) -> Speaker:
        public = signing.public_key(key)
        found = [name for name, person in self.persons.items() if person.public_key == public]
        if not found:
            raise Refused(
                f"the key is nobody's in `people`; put into offloader.yaml, under the person, `public_key: {public}`",
                rule="people",
            )
        if len(found) > 1:
            raise Refused(f"{' and '.join(found)} have the same key: who speaks is not known", rule="people")
        login = self.persons[found[0]].login
        if login is not None and login != account:
            raise Refused(
                f"the key is of {found[0]}, who works under the account {login}; this is {account}", rule="people"
            )
        return Speaker(found[0], self.persons[found[0]].role, f"key:{thumbprint(public)}", key)

    def doubt(self, name: str, statement: Mapping[str, Any], signature: str) -> str:
        """Why what this person is said to have said does not count; empty if it does."""
        person = self.persons.get(name)
        if person is None:
            return f"{name} is not among `people` now"
        public = person.public_key
        if public is None:
            try:
                audit_key = self._audit_key()
                if audit_key is None:
                    return ""
                public = signing.public_key(audit_key)
            except ConfigError as error:
                return f"its signature cannot be checked: {error}"
        if not signature:
            return "it is not signed, and must be now"
        try:
            said = signing.opened(signature, public)
        except IntegrityError:
            return "its signature does not hold"
        return "" if said == dict(statement) else "its signature is over other words"

    def same(self, one: str, other: str) -> bool:
        """Whether two names stand for one person, as far as anybody can tell: one login, or one key, is one person.

        A name may also be an account without a person ("account:root").
        """
        if one == other:
            return True
        logins, keys = zip(self._marks(one), self._marks(other), strict=True)
        return any(a is not None and a == b for a, b in (logins, keys))

    def _marks(self, name: str) -> tuple[str | None, str | None]:
        """The login and the public key of a name."""
        if name.startswith(ACCOUNT):
            return name.removeprefix(ACCOUNT), None
        person = self.persons.get(name)
        return (None, None) if person is None else (person.login, person.public_key)

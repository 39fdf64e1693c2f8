"""offloader.yaml: what is wrong is named with its line, and secrets never show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from offloader.config import Config, json_schema, load_config
from offloader.errors import ConfigError
from offloader.secrets import SecretRef

GOOD = """\
ledger:
  path: ledger.sqlite
gateway:
  url: https://files.example.com
  link_key: env:KEY
sources:
  salesforce:
    type: salesforce
    login_url: https://acme.my.salesforce.com
    client_id: abc
    client_secret: env:SECRET
stores:
  de:
    type: filesystem
    path: stores/de
    country: DE
    attested_by: me
    attested_until: 2027-12-31
policies:
  residency:
    type: residency
"""
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(text: str) -> Path:
        path = tmp_path / "offloader.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return put


def load(write: Write, old: str = "", new: str = "") -> Config:
    text = GOOD.replace(old, new) if old else GOOD
    assert not old or text != GOOD
    return load_config(write(text))


def test_a_good_configuration_loads(write: Write) -> None:
    """A configuration with a source, a store and a policy loads, paths relative to its folder."""
    config = load(write)

    assert config.ledger_path == config.directory / "ledger.sqlite"
    assert config.policy_for("salesforce").name == "residency"


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("ledger:\n", "ledgre: {}\nledger:\n", 1, "ledgre: unknown key"),
        ("    client_id: abc\n", "    client_id: abc\n    clientid: x\n", 11, "clientid: unknown key"),
        ("client_secret: env:SECRET", "client_secret: hunter2secret", 11, "a literal secret is refused"),
        ("link_key: env:KEY", "link_key: verysecret", 5, "a literal secret is refused"),
        ("    type: filesystem\n", "    type: filesistem\n", 14, "no plugin 'filesistem'"),
        ("country: DE", "country: Germany", 16, "country"),
        (
            "    type: residency\n",
            "    type: residency\n    sources: [dynamics]\n",
            22,
            "no source is named 'dynamics'",
        ),
        ("  de:\n", "  DE:\n", 13, "a name is"),
        ("url: https://files.example.com", "url: files.example.com", 4, "an address such as"),
    ],
)
def test_a_mistake_is_named_with_its_line(write: Write, old: str, new: str, line: int, says: str) -> None:
    """Every mistake says the file, the line and the key, and never repeats a value that may be a secret."""
    with pytest.raises(ConfigError) as caught:
        load(write, old, new)

    message = str(caught.value)
    assert f"offloader.yaml:{line}:" in message
    assert says in message
    assert "hunter2secret" not in message
    assert "verysecret" not in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "not valid YAML"),
        ("a: 1\na: 2\n", "not valid YAML"),
        ("- a\n", "must hold a mapping"),
        ("\x00", "not valid YAML"),
        ("", "must hold a mapping"),
    ],
)
def test_what_is_no_configuration_is_said(write: Write, text: str, says: str) -> None:
    """A file that is no YAML mapping, or repeats a key, is refused."""
    with pytest.raises(ConfigError, match=says):
        load_config(write(text))


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    """Without a file the error names it and the command that makes one."""
    with pytest.raises(ConfigError, match="offloader init"):
        load_config(tmp_path / "none.yaml")


def test_a_source_needs_exactly_one_policy(write: Write) -> None:
    """Two policies that claim one source are refused, with both names."""
    with pytest.raises(ConfigError, match="residency, second"):
        load(
            write,
            "  residency:\n    type: residency\n",
            "  residency:\n    type: residency\n  second:\n    type: residency\n",
        )


def test_secrets_are_read_late_and_never_print(tmp_path: Path) -> None:
    """A reference prints as the reference; its value comes from the environment or a file when asked for."""
    (tmp_path / "key").write_text("s3cret\n", encoding="utf-8")
    file, env = SecretRef.parse("file:key"), SecretRef.parse("env:KEY")

    assert (str(file), repr(file).count("s3cret")) == ("file:key", 0)
    assert file.reveal({}, tmp_path) == "s3cret"
    assert env.reveal({"KEY": "v"}, tmp_path) == "v"
    with pytest.raises(ConfigError, match="KEY is not set"):
        env.reveal({}, tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        SecretRef.parse("file:none").reveal({}, tmp_path)


def test_the_schema_knows_every_plugin() -> None:
    """The exported JSON Schema offers each installed plugin with its options."""
    schema = json_schema()

    sources = schema["properties"]["sources"]["additionalProperties"]["oneOf"]
    assert {choice["properties"]["type"]["const"] for choice in sources} >= {"salesforce"}
    assert all(choice["additionalProperties"] is False for choice in sources)

"""What a sandbox writes beside its data, and what it leaves as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from offloader.cli.sandbox_files import write_config
from offloader.errors import ConfigError
from offloader.testing import context


@dataclass
class Served:
    """An emulator that only says how it is reached."""

    source_options: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""
    ca_file: Path = Path()

    def close(self) -> None: ...


def served(port: int) -> Served:
    options = {"type": "salesforce", "login_url": f"https://127.0.0.1:{port}", "client_id": "demo"}
    return Served({**options, "client_secret": "file:secret", "ca_file": "ca.pem"})


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    return found


def test_a_configuration_that_stands_there_only_gets_the_new_address(tmp_path: Path) -> None:
    """Started again, a sandbox changes nothing of its configuration but where the CRM is."""
    path = write_config(tmp_path, {"salesforce": served(1)}, context(tmp_path))
    edited = read(path)
    edited["policies"] = {"acme": {"type": "file", "path": "policy.yaml"}}
    edited["sources"]["salesforce"]["held_in"] = ["IE"]
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(edited, file)

    write_config(tmp_path, {"salesforce": served(2)}, context(tmp_path))

    edited["sources"]["salesforce"]["login_url"] = "https://127.0.0.1:2"
    assert read(path) == edited


@pytest.mark.parametrize("text", ["sources: [1]", "- a", "sources: {a: 1", "gateway: {}", ""])
def test_what_is_no_configuration_is_not_written_over(tmp_path: Path, text: str) -> None:
    """A file that a sandbox cannot read is an error, and stays."""
    path = tmp_path / "offloader.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match="move it away"):
        write_config(tmp_path, {"salesforce": served(1)}, context(tmp_path))
    assert path.read_text(encoding="utf-8") == text

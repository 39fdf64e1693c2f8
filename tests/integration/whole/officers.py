"""People who approve and release, and a key for the event log."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from offloader import signing
from offloader.system import system_context
from tests.integration.whole.plant import Plant


def governed(plant: Plant) -> Path:
    """Give the plant two people and a key for its log; return the second person's key."""
    yaml = YAML(typ="safe", pure=True)
    config: dict[str, Any] = yaml.load(plant.config.read_text(encoding="utf-8"))
    private = signing.new_key()
    key, audit = plant.directory / "anna.jwk", plant.directory / "audit.jwk"
    key.write_text(private, encoding="ascii")
    audit.write_text(signing.new_key(), encoding="ascii")
    config["people"] = {
        "maker": {"name": "Mia Maker", "login": system_context(plant.directory).account},
        "anna": {"name": "Anna Ames", "role": "data-protection officer", "public_key": signing.public_key(private)},
    }
    config["audit"] = {"key": "file:audit.jwk"}
    config["reports"] = {"organisation": "Acme BV"}
    out = io.StringIO()
    yaml.dump(config, out)
    plant.config.write_text(out.getvalue(), encoding="utf-8")
    return key

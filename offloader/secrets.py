"""Secrets by reference: `env:NAME` or `file:PATH`. A value is read late, and never prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from offloader.errors import ConfigError

SCHEMES = ("env", "file")


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret can be found, never the secret itself."""

    scheme: str
    name: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> SecretRef:
        """Raises ValueError for anything that is not a reference; the text is not repeated, it may be a secret."""
        scheme, colon, name = text.partition(":")
        if not colon or scheme not in SCHEMES or not name:
            raise ValueError("a secret must be a reference, env:NAME or file:PATH; a literal secret is refused")
        return cls(scheme, name)

    def reveal(self, environ: Mapping[str, str], directory: Path) -> str:
        """Read the secret: `file:` paths are relative to `directory`; a final newline is dropped.

        Raises ConfigError if the variable or the file is missing or empty.
        """
        if self.scheme == "env":
            value = environ.get(self.name, "")
            if not value:
                raise ConfigError(f"the environment variable {self.name} is not set; a secret refers to it")
            return value
        path = directory / self.name
        try:
            value = path.read_text(encoding="utf-8").removesuffix("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the secret file {path} cannot be read: {error.__class__.__name__}") from error
        if not value:
            raise ConfigError(f"the secret file {path} is empty")
        return value

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else cls.parse(str(value)),
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": "^(env|file):.+$", "description": "env:NAME or file:PATH"}

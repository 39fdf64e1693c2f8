"""`offloader.yaml`: typed settings. Unknown keys are errors, secrets are references, errors name their line."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from offloader.errors import ConfigError
from offloader.plugins import Options, PolicyPlugin, SourcePlugin, StorePlugin, available, load
from offloader.secrets import SecretRef

MAX_BYTES = 1 << 20
_COUNTRY = re.compile("[A-Z]{2}")
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]"
_TIMING = f"every [1-9][0-9]{{0,3}}[mhd]|daily {_CLOCK}|weekly (mon|tue|wed|thu|fri|sat|sun) {_CLOCK}"


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,31}", value):
        raise ValueError("a name is 1 to 32 lower-case letters, digits and hyphens, beginning with a letter")
    return value


def _https(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", value):
        raise ValueError("an address such as https://files.example.com")
    return value.rstrip("/")


def _timing(value: str) -> str:
    if not re.fullmatch(_TIMING, value):
        raise ValueError("write `every 30m`, `every 6h`, `every 2d`, `daily 02:00` or `weekly sun 02:00`")
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("no time zone of this name is known; write Europe/Amsterdam, or UTC") from error
    return value


Name = Annotated[str, AfterValidator(_name)]
Timing = Annotated[str, AfterValidator(_timing)]


class LedgerOptions(Options):
    """Where the ledger is."""

    path: Path = Field(Path("ledger.sqlite"), description="the ledger's database file")


class HeaderLoginOptions(Options):
    """A reverse proxy that has logged the user in and says who it is."""

    type: Literal["header"] = "header"
    user_header: str = Field("X-Forwarded-User", description="the header that holds the CRM user name or user id")
    secret_header: str = Field("X-Proxy-Secret", description="the header that proves that the proxy sent it")
    secret: SecretRef = Field(description="what the secret header must hold")


class TokenLoginOptions(Options):
    """Bearer tokens, each for one user."""

    type: Literal["token"]
    tokens: Path = Field(description="file with a line per token: its SHA-256 in hex, a space, the CRM user")


class GatewayOptions(Options):
    """The service that opens links."""

    url: Annotated[str, AfterValidator(_https)] = Field(description="public address that links begin with")
    link_key: SecretRef = Field(description="key from which link ids are derived; never change it")
    login: HeaderLoginOptions | TokenLoginOptions | None = Field(
        None, description="how the gateway learns who is asking; without it, it does not start"
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8480, ge=0, le=65535, description="port to listen on")
    redirect_seconds: int | None = Field(
        None,
        ge=1,
        le=60,
        description="send browsers to the store itself, by a link to the one object that works for so long, where the "
        "store has such links; without it, all bytes go through the gateway, measured on the way",
    )


class PaceOptions(Options):
    """How hard to work."""

    concurrency: int | None = Field(None, ge=1, le=256, description="downloads at once; the source's own if not given")
    memory_mb: int = Field(32, ge=8, description="bytes of documents held in memory at once, in MiB")
    attempts: int = Field(5, ge=1, description="tries per call before a document is given up for this run")


class LimitOptions(Options):
    """How much one plan may do; more is refused."""

    documents: int | None = Field(None, ge=0, description="documents moved at most")
    bytes: int | None = Field(None, ge=0, description="bytes moved at most")
    percent: float | None = Field(None, ge=0, le=100, description="share of all known documents moved at most")


class ScheduleOptions(Options):
    """When `offloader service` does what. A job without a time is not done."""

    prove: Timing | None = Field(None, description="ask every store afresh where it is: `every 6h`")
    scan: Timing | None = Field(None, description="list what is new in the CRMs: `every 30m`")
    run: Timing | None = Field(None, description="scan, plan and apply: `daily 02:00`, `weekly sun 02:00`")
    expire: Timing | None = Field(
        None, description="look for deletions and moved dates in the CRMs, carry out the approved plan, plan anew"
    )
    erase: Timing | None = Field(
        None, description="carry out approved erasures as far as holds allow, and plan what was erased and is back"
    )
    rehome: Timing | None = Field(None, description="carry out the approved plan of re-homing, and plan anew")
    purge: Timing | None = Field(None, description="carry out the approved plan of purging, and plan anew")
    checkpoint: Timing | None = Field(None, description="sign where the event log stands, and copy that to the stores")
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", description="the zone of the times of day, as in Europe/Amsterdam"
    )


class PersonOptions(Options):
    """Somebody who may prepare, approve, hold or release. Recognised by a login or a key, never by a typed name."""

    name: str = Field(min_length=1, description="the name that reports print")
    role: str = Field("", description="as in a sign-off: controller, data-protection officer, administrator")
    login: str | None = Field(None, description="the account of this machine under which the person works")
    public_key: str | None = Field(
        None,
        description="the person's Ed25519 public key (base64url); what they say is then signed with it, and only so",
    )

    @model_validator(mode="after")
    def _recognisable(self) -> Self:
        if self.login is None and self.public_key is None:
            raise ValueError("needs a `login` or a `public_key`, or nobody could be recognised as this person")
        return self


class AuditOptions(Options):
    """Checkpoints of the event log: signed, and copied to where they cannot be taken back."""

    key: SecretRef | None = Field(
        None, description="the Ed25519 key that signs checkpoints (`offloader audit key` makes one); none: unsigned"
    )
    stores: tuple[str, ...] = Field((), description="stores that get a copy of each checkpoint; best those with a lock")


class ReportOptions(Options):
    """What reports print."""

    organisation: str = Field("", description="the name at the head of a report")
    environment: str = Field("", description="production, sandbox, …")
    language: Literal["en", "nl"] = Field("en", description="language where none is asked for")
    names: bool = Field(False, description="print file names; otherwise their hashes")


class EncryptionOptions(Options):
    """Client-side encryption of a store, with age: the store sees no plain bytes and no key."""

    recipients: tuple[str, ...] = Field(
        min_length=1, description="public keys (age1…) that can open what is stored, the service's own among them"
    )
    recovery: str = Field(description="public key of a key that is kept offline, for the day that all others are lost")
    identity: SecretRef = Field(description="the service's own key (AGE-SECRET-KEY-1…)")


@dataclass(frozen=True, slots=True)
class Part:
    """One configured plugin: its name, its type, its validated options."""

    name: str
    type: str
    options: Options
    #: of a policy: the sources that it is for, all if empty
    sources: tuple[str, ...] = ()
    #: of a store
    encryption: EncryptionOptions | None = None
    #: of a source: the countries where the CRM itself holds its bytes, as its contract says
    held_in: tuple[str, ...] = ()


class Settings(Options):
    """The file as it stands; the parts of plugins are still raw."""

    ledger: LedgerOptions = LedgerOptions()
    gateway: GatewayOptions
    sources: dict[Name, dict[str, Any]] = Field(min_length=1, description="the CRMs, by name; each has a `type`")
    stores: dict[Name, dict[str, Any]] = Field(min_length=1, description="the places for bytes, by name")
    policies: dict[Name, dict[str, Any]] = Field(
        min_length=1, description="the rule books, by name; `sources` lists what each is for (all if absent)"
    )
    pace: PaceOptions = PaceOptions()
    limits: LimitOptions = LimitOptions()
    people: dict[Name, PersonOptions] = Field(
        default_factory=dict, description="who may prepare, approve, hold or release, by a short name"
    )
    schedule: ScheduleOptions = ScheduleOptions()
    audit: AuditOptions = AuditOptions()
    reports: ReportOptions = ReportOptions()


class Config:
    """A validated configuration with its plugins' options."""

    def __init__(self, path: Path, settings: Settings, parts: Mapping[str, Mapping[str, Part]]) -> None:
        self.path = path
        self.directory = path.resolve().parent
        self.settings = settings
        self.sources = parts["sources"]
        self.stores = parts["stores"]
        self.policies = parts["policies"]

    @property
    def ledger_path(self) -> Path:
        return self.directory / self.settings.ledger.path

    def policy_for(self, source: str) -> Part:
        """The one policy of a source. Raises ConfigError when there is none, or more than one."""
        found = [part for part in self.policies.values() if not part.sources or source in part.sources]
        if len(found) != 1:
            claims = f"{len(found)} policies claim" if found else "no policy is for"
            names = f": {', '.join(part.name for part in found)}" if found else ""
            raise ConfigError(
                f"{self.path}: {claims} the source {source!r}{names}; a source needs exactly one policy: "
                "list under `sources` of each policy which sources it is for"
            )
        return found[0]


class _Document:
    """The YAML text with the places of its values."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"the configuration {path} cannot be read ({error.strerror}); make one with `offloader init`"
            ) from error
        if len(data) > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes; this is not a configuration")
        try:
            text = data.decode("utf-8")
            self.node: Node | None = YAML(typ="safe", pure=True).compose(io.StringIO(text))
            self.value: Any = YAML(typ="safe", pure=True).load(io.StringIO(text))
        except (YAMLError, UnicodeDecodeError, ValueError) as error:
            mark = getattr(error, "problem_mark", None)
            place = f":{mark.line + 1}" if mark else ""
            problem = getattr(error, "problem", None) or error.__class__.__name__
            raise ConfigError(f"{path}{place}: not valid YAML: {problem}") from error

    def line(self, location: tuple[int | str, ...]) -> int:
        """The line of the value at a location, or of the nearest thing around it."""
        node, line = self.node, 1
        for step in location:
            if isinstance(node, MappingNode):
                found = next(((key, value) for key, value in node.value if key.value == str(step)), None)
                if found is None:
                    break
                line, node = found[0].start_mark.line + 1, found[1]
            elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.start_mark.line + 1
            else:
                break
        return line

    def error(self, location: tuple[int | str, ...], message: str) -> ConfigError:
        where = ".".join(str(step) for step in location)
        return ConfigError(f"{self.path}:{self.line(location)}: {where}: {message}")

    def translate(self, error: ValidationError, prefix: tuple[int | str, ...] = ()) -> ConfigError:
        """The first problem, with its place; the rejected value is left out, it may be a secret."""
        problem = error.errors(include_url=False, include_input=False)[0]
        location = prefix + tuple(step for step in problem["loc"] if step != "[key]")
        message = (
            "unknown key" if problem["type"] == "extra_forbidden" else problem["msg"].removeprefix("Value error, ")
        )
        return self.error(location, message)


PLUGIN_KINDS: Mapping[str, type[SourcePlugin | StorePlugin | PolicyPlugin]] = {
    "sources": SourcePlugin,
    "stores": StorePlugin,
    "policies": PolicyPlugin,
}


def _part(document: _Document, section: str, name: str, raw: Mapping[str, Any]) -> Part:
    options = dict(raw)
    type_name = options.pop("type", None)
    if not isinstance(type_name, str):
        raise document.error((section, name), "needs a `type`")
    sources = tuple(options.pop("sources", ())) if section == "policies" else ()
    encryption = _encryption(document, name, options.pop("encryption", None)) if section == "stores" else None
    held_in = _held_in(document, name, options.pop("held_in", [])) if section == "sources" else ()
    try:
        plugin = load(PLUGIN_KINDS[section], type_name)
    except ConfigError as error:
        raise document.error((section, name, "type"), str(error)) from error
    try:
        return Part(name, type_name, plugin.options.model_validate(options), sources, encryption, held_in)
    except ValidationError as error:
        raise document.translate(error, (section, name)) from error


def _held_in(document: _Document, name: str, raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(code, str) and _COUNTRY.fullmatch(code) for code in raw):
        raise document.error(("sources", name, "held_in"), "a list of ISO 3166-1 codes in capitals, such as [DE, IE]")
    return tuple(raw)


def _encryption(document: _Document, name: str, raw: Any) -> EncryptionOptions | None:
    try:
        return None if raw is None else EncryptionOptions.model_validate(raw)
    except ValidationError as error:
        raise document.translate(error, ("stores", name, "encryption")) from error


def line_in(path: Path, location: tuple[int | str, ...]) -> int:
    """The line of a configuration's value, or of the nearest thing around it. Raises ConfigError if it is no YAML."""
    return _Document(path).line(location)


def load_config(path: Path) -> Config:
    """Read and validate a configuration. Raises ConfigError with the file, the line and the key."""
    document = _Document(path)
    if not isinstance(document.value, dict):
        raise ConfigError(f"{path}: must hold a mapping with the keys ledger, gateway, sources, stores, policies")
    try:
        settings = Settings.model_validate(document.value)
    except ValidationError as error:
        raise document.translate(error) from error
    parts = {
        section: {name: _part(document, section, name, raw) for name, raw in getattr(settings, section).items()}
        for section in PLUGIN_KINDS
    }
    for part in parts["policies"].values():
        for source in part.sources:
            if source not in parts["sources"]:
                raise document.error(("policies", part.name, "sources"), f"no source is named {source!r}")
    config = Config(path, settings, parts)
    for name in config.sources:
        config.policy_for(name)
    return config


def json_schema() -> dict[str, Any]:
    """The JSON Schema of offloader.yaml with the options of every installed plugin, for editors."""
    schema = Settings.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    definitions: dict[str, Any] = schema.setdefault("$defs", {})
    definitions["EncryptionOptions"] = EncryptionOptions.model_json_schema()
    for section, kind in PLUGIN_KINDS.items():
        choices = []
        for name in available(kind):
            part = load(kind, name).options.model_json_schema(ref_template=f"#/$defs/{section}-{name}-{{model}}")
            for model, definition in part.pop("$defs", {}).items():
                definitions[f"{section}-{name}-{model}"] = definition
            properties = part.setdefault("properties", {})
            properties["type"] = {"const": name}
            if section == "stores":
                properties["encryption"] = {"$ref": "#/$defs/EncryptionOptions"}
            if section == "sources":
                properties["held_in"] = {"type": "array", "items": {"type": "string", "pattern": "^[A-Z]{2}$"}}
            if section == "policies":
                properties["sources"] = {"type": "array", "items": {"type": "string"}}
            part["required"] = ["type", *part.get("required", [])]
            choices.append(part)
        schema["properties"][section]["additionalProperties"] = {"oneOf": choices}
    return schema

"""Saying before any run what is missing, what that hides or prevents, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from offloader.errors import AuthError, ConfigError, Exhausted, OffloaderError, Permanent, Transient
from offloader.model import Document, Finding, Severity
from offloader_connectors.dynamics365 import odata, permissions
from offloader_connectors.dynamics365.api import Api
from offloader_connectors.dynamics365.blobs import Blobs
from offloader_connectors.dynamics365.documents import NOTE_COLUMNS, Rules, kind_of_column, note_document
from offloader_connectors.dynamics365.environment import Environment
from offloader_connectors.dynamics365.forms import ALL_BLOCKED, Forms
from offloader_connectors.dynamics365.options import DynamicsOptions
from offloader_connectors.dynamics365.permissions import Permissions, Privileges
from offloader_connectors.dynamics365.places import FILES, IMAGES, MAILS, NOTES
from offloader_connectors.dynamics365.signals import merged

#: settings table of an add-on that moves attachments to Azure storage
_OTHER_OFFLOADER = "msdyn_notesattachmententitysetting"
_BYPASS = "prvBypassCustomBusinessLogic"
_ROLE = "Add it to the security role of the application user, at the level of the organization."
_ROUTES: Mapping[str, str] = {
    "list": "in lists, many at once",
    "sas": "from Azure Storage (GetFileSasUrl)",
    "blocks": "in blocks",
    "value": "one by one",
}


class Checker:
    """Reads privileges, settings and definitions; changes nothing."""

    def __init__(
        self, api: Api, environment: Environment, permitted: Permissions, blobs: Blobs, options: DynamicsOptions
    ) -> None:
        self._api = api
        self._environment = environment
        self._permissions = permitted
        self._blobs = blobs
        self._options = options

    def check(self) -> list[Finding]:
        """Name what is missing. Raises only Transient: everything else is a finding."""
        try:
            findings = list(self._login())
        except (AuthError, ConfigError) as error:
            return [Finding(Severity.ERROR, "login", str(error), "Correct the source's login options.", "everything")]
        except (Permanent, Exhausted) as error:
            return [Finding(Severity.ERROR, "environment", str(error), "Mend this, then check again.", "everything")]
        for part in (self._privileges, self._tables, self._settings, self._others, self._signals, self._downloads):
            findings += self._guarded(part)
        return findings

    @staticmethod
    def _guarded(part: Callable[[], Iterator[Finding]]) -> list[Finding]:
        try:
            return list(part())
        except Transient:
            raise
        except OffloaderError as error:
            return [Finding(Severity.ERROR, "check", str(error), "Mend this, then check again.")]

    def _login(self) -> Iterator[Finding]:
        identity = self._environment.identity()
        yield _good("login", f"Logged in to {self._options.url} as application user {identity.user_id}.")
        hint, rates = self._api.lanes.hint, self._api.lanes.rates
        left = "" if rates.requests is None else f" {rates.requests} requests are left in this five minutes' window."
        advised = "no number of calls at once" if hint is None else f"{hint} calls at once"
        yield _good("pace", f"The environment recommends {advised}; {self._api.lanes.limit} are used at most.{left}")

    # -- privileges ---------------------------------------------------------------------------------------------

    def _privileges(self) -> Iterator[Finding]:
        privileges = self._permissions.now()
        tables = [each for each in self._options.parents if each in self._environment.tables()]
        closed = [each for each in tables if not privileges.reads_all(each)]
        hidden = {
            spot.code: spot for kind in self._options.kinds for spot in permissions.hidden(kind, privileges, closed)
        }
        yield from hidden.values()
        if not hidden:
            yield _good("reads-all", "The application user reads all records whose documents may be moved.")
        missing = [name for name in self._needed() if not privileges.has(name)]
        if missing:
            yield Finding(
                Severity.ERROR,
                "no-write-privilege",
                f"The application user lacks {', '.join(missing)}: documents can be listed and not replaced.",
                _ROLE,
            )
        else:
            yield _good("writes", "The application user may replace documents.")
        yield from self._extras(privileges)

    def _needed(self) -> list[str]:
        """Privileges to replace documents. Rights on files in columns are those on their records."""
        kinds = self._options.kinds
        wanted = {NOTES: ("prvWriteNote",), MAILS: ("prvWriteActivity",)}
        names = [name for kind in kinds for name in wanted.get(kind, ("prvCreateNote", "prvAppendNote"))]
        tables = [each for each in self._options.parents if each in self._environment.tables()]
        columns = self._environment.file_columns(tables) if {FILES, IMAGES} & set(kinds) else {}
        for table, own in columns.items():
            if any(each.full and kind_of_column(kind) == each.kind for each in own.values() for kind in kinds):
                names += [permissions.privilege(right, table) for right in ("Write", "AppendTo")]
        return odata.unique(names)

    def _extras(self, privileges: Privileges) -> Iterator[Finding]:
        if self._options.bypass_custom_logic and not privileges.has(_BYPASS):
            yield Finding(
                Severity.ERROR,
                "no-bypass-privilege",
                f"bypass_custom_logic is set and the application user lacks {_BYPASS}: every write would be refused.",
                f"{_ROLE} Or unset bypass_custom_logic.",
            )
        if not privileges.has("prvReadUser"):
            yield Finding(
                Severity.WARNING,
                "no-user-privilege",
                "The application user may not read users (prvReadUser): nobody can be let in at a link.",
                _ROLE,
            )

    # -- tables and settings ------------------------------------------------------------------------------------

    def _tables(self) -> Iterator[Finding]:
        tables = self._environment.tables()
        missing = [each for each in self._options.parents if each not in tables]
        if missing:
            yield _good("tables", f"The environment has no tables {', '.join(missing)}; nothing is looked for there.")
        if NOTES in self._options.kinds:
            if self._environment.table("annotation").change_tracking:
                yield _good("change-tracking", "Notes are tracked: changes and deletions are found by tokens.")
            else:
                yield Finding(
                    Severity.WARNING,
                    "no-change-tracking",
                    "Change tracking is off for notes: changes are found by row versions, and deletions are not.",
                    "Switch on change tracking for the table Note (annotation).",
                )
            if not self._environment.table("annotation").optimistic:
                yield Finding(
                    Severity.ERROR,
                    "no-optimistic-concurrency",
                    "The table annotation does not compare versions on writes, so no note can be replaced safely.",
                    "Leave the kind annotation out (kinds).",
                )
        yield from self._link_columns()

    def _link_columns(self) -> Iterator[Finding]:
        for place, column in self._options.link_columns.items():
            table = place.partition(".")[0]
            if column not in self._environment.attributes([table])[table]:
                yield Finding(
                    Severity.ERROR,
                    "no-link-column",
                    f"link_columns names the column {column} of {table}, which the environment does not have.",
                    "Create a text column of that name, or correct link_columns.",
                )

    def _settings(self) -> Iterator[Finding]:
        settings = self._environment.settings()
        forms = Forms(self._environment, self._options).open()
        if not forms:
            yield Finding(
                Severity.ERROR, "placeholders-blocked", f"No file can be replaced: {ALL_BLOCKED}.", "Allow one."
            )
        elif forms[0] in settings.blocked_extensions:
            yield Finding(
                Severity.ERROR,
                "placeholder-blocked",
                f"The environment blocks .{forms[0]} files, which placeholder asks for.",
                "Set placeholder to auto, or take the extension off the blocked ones (System Settings > General).",
            )
        else:
            yield _good("placeholder", f"Placeholders are .{forms[0]} files.")
        raw = settings.max_upload // 4 * 3
        yield _good("upload-size", f"Files of up to {raw} bytes can be put back into notes and mails.")

    def _others(self) -> Iterator[Finding]:
        """Other programs at work, and where deleted rows go."""
        if _OTHER_OFFLOADER in self._environment.tables():
            yield Finding(
                Severity.WARNING,
                "other-offloader",
                f"The table {_OTHER_OFFLOADER} says that another program moves attachments here: some bodies may come "
                "from elsewhere.",
                "Bring its files back and remove it first, or leave the tables out that it works on (parents).",
            )
        known = self._environment.tables().get("recyclebinconfig")
        if known is None:
            return
        answer = self._api.ask("list.recyclebinconfig", odata.select(known.set_name, (known.primary_id,), top=1))
        if answer.ok and answer.rows():
            yield _good("recycle-bin", "Deleted rows stay in the recycle bin for up to 30 days and count as storage.")

    def _signals(self) -> Iterator[Finding]:
        every = merged(self._options.signals)
        for table, own in self._options.signals.items():
            if table == "*" or table not in self._environment.tables():
                continue
            types = self._environment.attributes([table])[table]
            for signal in own:
                paths = every[table][signal]
                if paths and not any(path.split("/")[0] in types for path in paths):
                    yield Finding(
                        Severity.WARNING,
                        "no-signal-column",
                        f"The signal {signal!r} of {table} names no column that the environment has.",
                        "Correct the column in signals, or let the application user see it.",
                        hides=f"the signal {signal!r} of every {table}, which counts as unknown",
                    )

    # -- downloads ----------------------------------------------------------------------------------------------

    def _downloads(self) -> Iterator[Finding]:
        """Try with a note that exists how large bodies are read; without any, say what will be tried."""
        document = self._any_note() if NOTES in self._options.kinds else None
        if document is not None:
            self._blobs.probe(document.version_ref(document.current))
        routes = self._blobs.routes
        small, large = (_ROUTES.get(routes[name], routes[name]) for name in ("small", "large"))
        tried = "" if document is not None else " (not tried: there is no note to try with)"
        yield _good("downloads", f"Small bodies are read {small}, large ones {large}{tried}.")
        for name, why in routes.items():
            if name.startswith("no "):
                yield Finding(
                    Severity.WARNING,
                    "download-route",
                    f"Bodies cannot be read {_ROUTES.get(name[3:], name[3:])}: {why}",
                    "Large documents take more calls and server time this way; allow the way, or set downloads.",
                )

    def _any_note(self) -> Document | None:
        path = odata.select(
            "annotations", NOTE_COLUMNS, filter=odata.encode("isdocument eq true and filesize gt 0"), top=1
        )
        rules = Rules(frozenset(self._options.parents), 0)
        return next((note_document("", row, rules) for row in self._api.get("list.annotation", path).rows()), None)


def _good(code: str, message: str) -> Finding:
    return Finding(Severity.OK, code, message)

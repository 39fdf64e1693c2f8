"""The one place that composes configuration, plugins and wrappers.

A source is used through Retrying(Paced(source)): the pace is kept for each try, and a pause between tries holds no
slot. In a dry run every port is wrapped in ReadOnly as well. A store's proofs are compared with the last accepted one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache, partial

from offloader.config import Config, Part
from offloader.errors import ConfigError
from offloader.ledger import Ledger, open_ledger
from offloader.moves.proofs import baseline_of
from offloader.moves.site import Audit, Limits, Links, Pace, Progress, Site, no_progress
from offloader.people import ACCOUNT, People
from offloader.plugins import Context, PolicyPlugin, SourcePlugin, StorePlugin, load
from offloader.ports import Policy, Source, Store
from offloader.records import Records
from offloader.wrappers.encrypted import EncryptedStore, keys_of
from offloader.wrappers.paced import Gate, PacedSource
from offloader.wrappers.readonly import ReadOnlySource, ReadOnlyStore
from offloader.wrappers.retrying import Retry, RetryingSource, RetryingStore
from offloader.wrappers.retrying_records import RetryingRecords
from offloader.wrappers.watched import WatchedStore


def links_of(config: Config, context: Context) -> Links:
    gateway = config.settings.gateway
    key = gateway.link_key.reveal(context.environ, config.directory)
    return Links(gateway.url, key.encode())


def _retry(config: Config, context: Context) -> Retry:
    return Retry(
        sleep=context.sleep,
        monotonic=context.monotonic,
        random=context.random,
        attempts=config.settings.pace.attempts,
    )


def open_source(part: Part, config: Config, context: Context, *, dry_run: bool) -> Source:
    return _wrapped(_bare(part, context), config, context, dry_run=dry_run)


def _bare(part: Part, context: Context) -> Source:
    return load(SourcePlugin, part.type).open(part.name, part.options, context)


def _wrapped(source: Source, config: Config, context: Context, *, dry_run: bool) -> Source:
    most = config.settings.pace.concurrency or source.capabilities.concurrency
    gate = Gate(most=most, sleep=context.sleep, monotonic=context.monotonic)
    wrapped: Source = RetryingSource(PacedSource(source, gate), _retry(config, context))
    return ReadOnlySource(wrapped) if dry_run else wrapped


def open_store(part: Part, config: Config, context: Context, *, dry_run: bool) -> Store:
    store: Store = load(StorePlugin, part.type).open(part.name, part.options, context)
    if part.encryption is not None:
        options = part.encryption
        identity = options.identity.reveal(context.environ, config.directory)
        store = EncryptedStore(store, keys_of(options.recipients, options.recovery, identity))
    store = RetryingStore(store, _retry(config, context))
    return ReadOnlyStore(store) if dry_run else store


def open_policy(part: Part, context: Context) -> Policy:
    return load(PolicyPlugin, part.type).open(part.options, context)


def person_of(config: Config, context: Context) -> str:
    """Who runs this: the configured person with this machine's account, or else the account itself."""
    account = context.account
    found = [name for name, person in config.settings.people.items() if person.login == account]
    return found[0] if found else f"{ACCOUNT}{account}"


def _audit_key(config: Config, context: Context) -> Callable[[], str | None]:
    key = config.settings.audit.key
    return lambda: None if key is None else key.reveal(context.environ, config.directory)


def people_of(config: Config, context: Context) -> People:
    """Everybody in `people`; the audit log's key signs for those who have none, and is read when it is needed."""
    return People(config.settings.people, _audit_key(config, context))


def audit_of(config: Config, context: Context) -> Audit:
    """How checkpoints of the event log are made; the key is read when it is needed."""
    return Audit(_audit_key(config, context), config.settings.audit.stores)


def records_of(config: Config, context: Context, sources: Mapping[str, Source]) -> Callable[[str], Records]:
    """Opens the records of a source, once, over the session of that one of the bare `sources`.

    Raises ConfigError where its plugin has none.
    """

    @cache
    def opened(source: str) -> Records:
        part = config.sources[source]
        plugin = load(SourcePlugin, part.type)
        if plugin.open_records is None:
            raise ConfigError(f"the source {source} ({part.type}) cannot purge records")
        return RetryingRecords(plugin.open_records(sources[source]), _retry(config, context))

    return opened


@contextmanager
def open_site(
    config: Config,
    context: Context,
    *,
    exclusive: bool = True,
    dry_run: bool = False,
    progress: Progress = no_progress,
) -> Iterator[Site]:
    """Everything a command works with. `exclusive`: it will write to the ledger, and nobody else may."""
    with ExitStack() as stack:
        ledger: Ledger = stack.enter_context(
            open_ledger(config.ledger_path, now=context.now, exclusive=exclusive, create=exclusive)
        )
        settings = config.settings
        bare = {name: _bare(part, context) for name, part in config.sources.items()}
        policies = {part.name: open_policy(part, context) for part in config.policies.values()}
        yield Site(
            ledger=ledger,
            sources={name: _wrapped(source, config, context, dry_run=dry_run) for name, source in bare.items()},
            stores={
                name: WatchedStore(open_store(part, config, context, dry_run=dry_run), partial(baseline_of, ledger))
                for name, part in config.stores.items()
            },
            policies={name: policies[config.policy_for(name).name] for name in config.sources},
            links=links_of(config, context),
            context=context,
            pace=Pace(settings.pace.concurrency, settings.pace.memory_mb << 20, settings.pace.attempts),
            limits=Limits(settings.limits.documents, settings.limits.bytes, settings.limits.percent),
            progress=progress,
            person=person_of(config, context),
            people=people_of(config, context),
            audit=audit_of(config, context),
            records=records_of(config, context, bare),
            meters={name: load(SourcePlugin, part.type).storage_price for name, part in config.sources.items()},
            homes={name: part.held_in for name, part in config.sources.items()},
            tariffs={name: load(StorePlugin, part.type).tariff(part.options) for name, part in config.stores.items()},
        )

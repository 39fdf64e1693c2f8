"""The gateway as the command line serves it: the login of the configuration, the links of the ledger."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from starlette.applications import Starlette

from offloader.config import Config, HeaderLoginOptions
from offloader.errors import ConfigError
from offloader.gateway.app import LedgerLinks, make_app
from offloader.gateway.login import HeaderLogin, Login, TokenLogin
from offloader.gateway.server import serving
from offloader.moves.site import Site
from offloader.plugins import Context


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway on loopback, and the headers with which the reverse proxy would prove itself."""

    host: str
    port: int
    login_headers: Mapping[str, str]


def login_of(config: Config, context: Context) -> Login:
    """The configured login. Raises ConfigError if there is none."""
    options = config.settings.gateway.login
    if options is None:
        raise ConfigError(f"{config.path}: gateway.login is not configured: nobody could open a link")
    if isinstance(options, HeaderLoginOptions):
        secret = options.secret.reveal(context.environ, config.directory)
        return HeaderLogin(secret, user_header=options.user_header, secret_header=options.secret_header)
    return TokenLogin.of_file(config.directory / options.tokens)


def app_of(site: Site, login: Login, redirect_seconds: int | None) -> Starlette:
    return make_app(
        links=LedgerLinks(site.ledger),
        sources=site.sources,
        stores=site.stores,
        login=login,
        redirect_seconds=redirect_seconds,
    )


@contextlib.contextmanager
def served(site: Site, config: Config) -> Iterator[Served]:
    """Serve the site's links in a thread, on a free port of loopback."""
    login = login_of(config, site.context)
    headers = {}
    options = config.settings.gateway.login
    if isinstance(options, HeaderLoginOptions):
        headers[options.secret_header] = options.secret.reveal(site.context.environ, config.directory)
    with serving(app_of(site, login, config.settings.gateway.redirect_seconds)) as port:
        yield Served("127.0.0.1", port, headers)

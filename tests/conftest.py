"""What holds for every test: sockets only on loopback, and no test is skipped unless a capability says so."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

CAPABILITY = "capability:"


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that talks to another machine fails."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0]
            if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
                raise AssertionError(f"a test tried to reach {host}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A skipped test is a failed run, unless the skip's reason begins with `capability:`."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    skipped = [report for report in reporter.stats.get("skipped", []) if CAPABILITY not in str(report.longrepr)]
    if skipped and exitstatus == 0:
        for report in skipped:
            reporter.write_line(f"SKIPPED AND MUST NOT BE: {report.nodeid}", red=True)
        session.exitstatus = 1

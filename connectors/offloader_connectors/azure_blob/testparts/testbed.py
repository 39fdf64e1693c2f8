"""Azurite, the proxy and the management API together, with the store options that fit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from azure.core.exceptions import ResourceExistsError

from offloader.plugins import Context
from offloader_connectors import regions
from offloader_connectors.azure_blob.client import Clients
from offloader_connectors.azure_blob.options import AzureBlobOptions
from offloader_connectors.azure_blob.testparts.arm import GROUP, SUBSCRIPTION, Arm
from offloader_connectors.azure_blob.testparts.azurite import Azurite
from offloader_connectors.azure_blob.testparts.proxy import Proxy
from offloader_connectors.azure_blob.testparts.serving import make_certificate


class Testbed:
    """Serves until `close`. Certificates, secrets and (unless `in_memory`) blobs are below `directory`."""

    __test__ = False

    def __init__(
        self,
        directory: Path,
        environ: Mapping[str, str],
        sleep: Callable[[float], None],
        *,
        region: str = "germanywestcentral",
        in_memory: bool = True,
    ) -> None:
        """Raises ConfigError if Azurite is not installed or does not start."""
        self.directory, self.region = directory, region
        self.ca_file, self._certificate = make_certificate(directory)
        self.azurite = Azurite(directory / "azurite", self._certificate, environ, sleep, in_memory=in_memory)
        self.proxy = Proxy(self.azurite.url, self.ca_file, self._certificate, sleep, {"x-ms-sku-name": "Standard_LRS"})
        self.arm = Arm(self._certificate, "made-up-management-token")
        self.account = self.arm.add(Azurite.ACCOUNT, self.proxy.url, region)
        for name, secret in (("account.key", self.azurite.key), ("arm.token", self.arm.token)):
            (directory / name).touch(mode=0o600)
            (directory / name).write_text(secret)

    def store_options(self, container: str, *, bare: bool = False) -> dict[str, Any]:
        """Options of a store, as they stand in offloader.yaml.

        The emulated management API is not Microsoft's, so that somebody has to vouch for it. `bare`: of Azurite as it
        is, without proxy, management API and anybody's word; such a store is refused.
        """
        options: dict[str, Any] = {
            "account_url": self.azurite.url if bare else self.proxy.url,
            "container": container,
            "account_key": f"file:{self.directory.resolve() / 'account.key'}",
            "ca_file": str(self.ca_file.resolve()),
            "region": self.region,
            "country": regions.lookup("azure", "AzurePublic", self.region),
        }
        if not bare:
            options |= {"attested_by": "the sandbox", "attested_until": "9999-12-31"}
            options["arm"] = {
                "subscription": SUBSCRIPTION,
                "resource_group": GROUP,
                "endpoint": self.arm.url,
                "token": f"file:{self.directory.resolve() / 'arm.token'}",
            }
        return options

    def make_container(self, container: str, context: Context) -> None:
        """Make a container, unless it is there."""
        options = AzureBlobOptions.model_validate(self.store_options(container, bare=True))
        with contextlib.suppress(ResourceExistsError):
            Clients(options, context).container.create_container()

    def close(self) -> None:
        self.proxy.close()
        self.arm.close()
        self.azurite.close()

"""Azure Blob for a demonstration: Azurite on loopback, an account in each country, with what it lacks beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from offloader.errors import ConfigError
from offloader.plugins import Context
from offloader_connectors.azure_blob.testparts.testbed import Testbed

#: a region of Azure in each country of the demonstration
REGIONS: Mapping[str, str] = {
    "DE": "germanywestcentral",
    "US": "eastus",
    "AU": "australiaeast",
    "BR": "brazilsouth",
}
_CONTAINER = "documents"


class AzureSandbox:
    """Serves until `close`; what it holds is in memory. Implements `offloader.plugins.StoreSandbox`.

    `bare` is Azurite without the proxy, the management API and anybody's word: no proof of it can be accepted.
    """

    def __init__(self, directory: Path, countries: Sequence[str], context: Context) -> None:
        """Raises ConfigError if Azurite is not installed or does not start, or for a country without a region."""
        if unknown := [country for country in countries if country not in REGIONS]:
            raise ConfigError(f"the Azure sandbox has no region in {', '.join(unknown)}")
        self._beds: list[Testbed] = []
        self.options: dict[str, Mapping[str, Any]] = {}
        self.bare: Mapping[str, Any] | None = None
        try:
            for country in countries:
                place = directory / country.lower()
                place.mkdir(parents=True, exist_ok=True)
                bed = Testbed(place, context.environ, context.sleep, region=REGIONS[country])
                self._beds.append(bed)
                bed.make_container(_CONTAINER, context)
                self.options[country] = bed.store_options(_CONTAINER)
                self.bare = self.bare or bed.store_options(_CONTAINER, bare=True)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for bed in self._beds:
            bed.close()

"""Microsoft's own client on the emulated environment: `python3 dataverse_client.py dynamics`."""

import sys
from pathlib import Path

from azure.identity import ClientSecretCredential
from PowerPlatform.Dataverse.client import DataverseClient
from ruamel.yaml import YAML

folder = Path(sys.argv[1])
source = YAML(typ="safe").load(folder / "offloader.yaml")["sources"]["dynamics365"]
credential = ClientSecretCredential(
    "offloader.onmicrosoft.com",
    source["client_id"],
    (folder / "dynamics365_client_secret").read_text(),
    authority=source["login_url"],
    disable_instance_discovery=True,
)
with credential, DataverseClient(source["url"], credential) as client:
    for note in client.records.list("annotation", filter="isdocument eq true", select=["filename", "filesize"], top=3):
        print(note["filename"], note["filesize"])

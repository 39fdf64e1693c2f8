"""offloader moves CRM documents to region-pinned storage and puts links in their place."""

__version__ = "0.1.0"

"""The S3 store: AWS and servers that speak its protocol, pinned to one region, with a proof of where the bytes are."""

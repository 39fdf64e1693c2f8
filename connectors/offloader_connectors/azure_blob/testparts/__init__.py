"""Test parts: Azurite, Microsoft's own emulator, with what it lacks beside it. The store knows nothing of them.

Azurite calls every account geo-redundant and does not know where it is, so that the store refuses it. `testbed` sets a
proxy before it that says another redundancy, and an emulated management API that says a location.
"""

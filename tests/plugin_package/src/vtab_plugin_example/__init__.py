"""One of each kind, for the tests of the registry."""

"""One of each kind: a template for plugins, and installed by the tests of the registry."""

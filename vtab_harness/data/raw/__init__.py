"""Readers of the public archives, one module a data set, each a `SourceFactory` that reads them where they lie."""

"""Image sets with their tasks, one folder each: declaration, reader, order, certificate. Suites beside them."""

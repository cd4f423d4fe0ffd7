"""The tasks of VTAB-1k."""

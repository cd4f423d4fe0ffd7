"""The `vtab` command, one module a subcommand."""

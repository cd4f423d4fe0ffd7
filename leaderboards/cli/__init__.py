"""Subcommands of `vtab` that read records; found through the entry-point group `vtab_harness.commands`."""

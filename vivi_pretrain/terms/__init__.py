"""Losses, each a module with its formula and source."""

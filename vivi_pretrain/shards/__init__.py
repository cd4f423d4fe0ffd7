"""Frames of shots in plain tar files with a random-access index."""

"""Reads the layout in which the community passes VTAB-1k on: a folder a task, with images saved again as JPEG."""

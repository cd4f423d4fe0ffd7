"""Procedural videos with several shots of one scene, and where their cuts truly are."""

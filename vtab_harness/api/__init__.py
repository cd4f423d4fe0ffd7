"""The nouns of the harness: frozen dataclasses and typing protocols.

Nothing in this package imports torch or TensorFlow, so that declarations, tables and command-line help stay fast.
"""

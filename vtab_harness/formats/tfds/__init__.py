"""Reads directories that TensorFlow Datasets has prepared, without TensorFlow."""

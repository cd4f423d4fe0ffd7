"""Copies of image sets that others pass on, as WebDatasets or Parquet: read without TensorFlow, and proved."""

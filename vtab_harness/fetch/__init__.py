"""Downloads: published files with their checksums, and what TensorFlow Datasets prepares."""

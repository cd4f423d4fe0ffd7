"""Sources, example order, decoding, resizing and the prepared cache."""

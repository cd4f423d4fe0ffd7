"""Videos: finding, decoding, cutting into shots."""

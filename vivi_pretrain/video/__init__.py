"""Videos: finding, decoding, cutting into shots, drawing procedural ones."""

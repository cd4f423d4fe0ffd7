"""What a run is watched by: metrics and their log, the spread of embeddings, curves."""

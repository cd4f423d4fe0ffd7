"""From shards to batches: which shots, read and decoded ahead."""

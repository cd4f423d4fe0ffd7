"""The `vivi` command: videos to shards, and curves of a run."""

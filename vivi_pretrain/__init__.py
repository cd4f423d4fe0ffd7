"""Self-supervised pretraining on videos (VIVI), a producer of checkpoints for the harness."""

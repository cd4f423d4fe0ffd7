"""Is A better than B? Two backbones, paired on the test examples."""

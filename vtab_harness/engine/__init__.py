"""Feature extraction, device-resident training, batched linear heads."""

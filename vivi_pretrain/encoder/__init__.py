"""The part of the network that a checkpoint keeps: timm encoder, its norms, and the pooling of its features."""

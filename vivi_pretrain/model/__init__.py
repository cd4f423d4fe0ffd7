"""The network: frame encoder, pooling, heads and predictors."""

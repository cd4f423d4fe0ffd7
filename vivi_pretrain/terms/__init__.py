"""Loss terms, each with its formula and source, and the heads and predictors that they need."""

"""A toy space of causal decoders, as another package would offer it."""

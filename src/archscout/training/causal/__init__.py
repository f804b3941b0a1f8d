"""Training of causal language models: the next token, perplexity and bits per byte."""

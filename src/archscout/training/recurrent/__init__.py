"""Recurrent language models: the AWD recipe, its loop, perplexity, and text drawn from them."""

"""Training decoders: the next token, of texts in pieces of bytes."""

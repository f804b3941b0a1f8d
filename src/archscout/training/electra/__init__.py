"""Pretraining of encoders: replaced-token detection (ELECTRA) or masked tokens (BERT)."""

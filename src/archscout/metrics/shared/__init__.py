"""What several metrics share: scores of a matrix's rows, codes of activations, products."""

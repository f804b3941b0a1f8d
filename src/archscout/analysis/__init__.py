"""What training-free metrics say about trained results: statistics and their uncertainty."""

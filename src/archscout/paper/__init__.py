"""The release of Serianni and Kalita (2023): its tables and figures, and an audit of its data."""

"""The command line: arguments in, tables and messages out."""

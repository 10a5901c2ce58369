"""The command line: parses words, calls the floors below, prints what a person would ask next."""

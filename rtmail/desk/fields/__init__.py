"""What is filled in on a request besides its words (pure)."""

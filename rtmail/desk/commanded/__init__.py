"""What a command of staff does to a request and to the people on it (pure)."""

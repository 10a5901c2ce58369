"""What we mean to say becomes fixed bytes, and is read back before it goes (pure)."""

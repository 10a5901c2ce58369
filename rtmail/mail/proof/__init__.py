"""What is proven about whoever a mail says that it is from (pure)."""

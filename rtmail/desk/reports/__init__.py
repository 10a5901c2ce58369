"""What people are told about many requests, about one's past, or about what a policy would do (pure)."""

"""What follows from a mail that was received, by whose words it is (pure)."""

"""What a mail is (pure): knows no ticket and no policy."""

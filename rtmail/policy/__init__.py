"""What was promised (pure): knows no mail."""

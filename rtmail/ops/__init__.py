"""What the commands of the sysadmin do."""

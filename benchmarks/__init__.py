"""What rtmail costs, against what the same machine could do at best; `make bench` runs it."""

"""Moving in and out: archives and another tracker's database become requests, requests become files that others can read."""

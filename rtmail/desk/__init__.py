"""What a request is and what happens to it (pure): the rules that the product is."""

"""Content: the topic folders of content/ as values, their validity, and what is wrong with them."""

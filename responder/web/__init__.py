"""The pages of staff and the JSON API: thin edges over the operations that the terminal uses too."""

"""Staff pages and JSON API."""

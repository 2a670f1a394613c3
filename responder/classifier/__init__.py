"""Text to topics with confidence, or "a person must answer". Knows no email, no database."""

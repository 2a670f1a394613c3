"""Email: IMAP in, SMTP out, parsing, quotes, screening, composing. Knows email, knows no tickets."""

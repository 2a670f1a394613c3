"""Records: messages, tickets, replies, events, verdicts, and every transition of their states."""

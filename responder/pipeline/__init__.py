"""The way of one message: intake from the mailbox, handling to a ticket and a draft, the outbox, filing."""

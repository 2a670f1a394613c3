"""Replies: rendering from content and templates, the policy that decides, approval and the outbox."""

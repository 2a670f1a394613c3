"""The JSON API under /api: what the pages do, for programs. docs/api.md tells how to use it."""

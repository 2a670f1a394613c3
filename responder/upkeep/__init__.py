"""What keeps the service running for years: jobs, alarms, health, retention, backup, visits to links."""

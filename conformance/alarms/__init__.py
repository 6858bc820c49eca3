"""Alarms under kill -9, and how long a measure takes to its webhook."""

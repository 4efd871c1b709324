"""Requests for a refreshed training environment: what may be asked for, by whom, and when it ends."""

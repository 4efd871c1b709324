"""Pulumi components, one a file; each turns a plan into resources and decides nothing itself."""

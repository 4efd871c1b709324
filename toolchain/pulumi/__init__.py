"""Pulumi without a download: stand-ins for the vendor's plugins, and the runner that drives the engine."""

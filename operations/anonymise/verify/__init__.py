"""Proof that a masked database holds nobody's identity and is still of use: checks that can fail."""

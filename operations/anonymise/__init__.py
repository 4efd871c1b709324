"""Anonymised training data: what every column holds, how it is masked while it is read, and the proof that it was."""

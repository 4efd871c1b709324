"""The language of masking rules and its compiler to SQL."""

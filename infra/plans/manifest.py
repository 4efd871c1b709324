"""The type of values in Kubernetes' own form."""

from __future__ import annotations

from typing import Any, TypeAlias

Manifest: TypeAlias = Any
"""A mapping or list in Kubernetes' own spelling (camelCase), as reviewers and policies read it.

The SDK takes it as it is, but its generated types describe only their own snake_case spelling, so no closer type
would be accepted by both.
"""

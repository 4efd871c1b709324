"""Pure decisions: frozen dataclasses and functions that render them; no Pulumi, no I/O."""

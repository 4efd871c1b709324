"""A generated hospital company: made from a size and a seed, loaded through Odoo's own API."""

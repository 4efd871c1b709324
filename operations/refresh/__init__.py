"""The refresh of training from prod as the operator runs it: credentials between the parts, plan, run, status, undo.

What the jobs do inside their pods is in `operations/anonymise` (export, mask) and in Odoo's image (adopt).
"""

"""What runs inside the Odoo image beside Odoo: boot guard, configuration, migration, secrets and mail sink.

It uses the standard library and what the image has (psycopg2, jinja2, cryptography, aiosmtpd), nothing of Odoo.
"""

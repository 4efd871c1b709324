"""What a machine needs to carry a platform: builds, images, the embedded cluster, Pulumi. Knows no platform itself.

The core that the other folders stand on: `paths` (where things live), `store` (results by content), `builds` (what is
built from Go modules), `resolve` (PATH, vendor or registry), `host` (this machine), `tasks` (a graph of work),
`progress` (who shows it), `versions` (every third-party version).
"""

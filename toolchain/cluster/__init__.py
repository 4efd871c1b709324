"""A real single-node Kubernetes inside its own namespaces, and what is needed to use any other cluster instead.

EmbeddedCluster   start, stop, wipe, status, exec, load_images, forward
ClusterFacts      what the infrastructure needs to know of a cluster (state/facts.json); discover() for an existing one
check_enforcement proves with packets that a cluster enforces NetworkPolicy
"""

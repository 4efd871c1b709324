"""Container images without a registry or a daemon: root file systems, image definitions and an OCI store."""

"""Stack programs: what an environment and the shared platform are composed of."""

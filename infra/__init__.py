"""What should exist: settings, names and the Pulumi components that declare the environments."""

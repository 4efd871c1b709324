"""What is done to the platform: the command line and the operations behind it."""

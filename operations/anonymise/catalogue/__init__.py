"""Every column of every table, classified, with the rule that masks it."""

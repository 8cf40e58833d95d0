"""Other servers that do the same work in the same run."""

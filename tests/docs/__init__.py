"""What the documents promise is what the code does."""

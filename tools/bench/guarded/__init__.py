"""What the guard watches: what ours costs, beside a reference in the same run. Processor time is what counts."""

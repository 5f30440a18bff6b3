"""Step 5: what does it really do? Verified first, then timed against the incumbent."""

"""Step 3: how it should run there."""

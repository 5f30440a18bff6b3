"""Step 2: which hardware can do it, at what margin."""

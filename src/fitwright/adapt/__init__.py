"""Step 4: how must the model change? Chains of recipes applied, each result stored whole."""

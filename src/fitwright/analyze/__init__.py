"""Step 1: what must hold, and what does the model cost?"""

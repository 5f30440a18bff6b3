"""Step 6, tune: is every limit met, and what next?"""

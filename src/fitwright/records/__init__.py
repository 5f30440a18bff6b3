"""The nouns: frozen, checked once, written as JSON."""

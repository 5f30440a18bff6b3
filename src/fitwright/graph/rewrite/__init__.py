"""Rewriting: other operators that compute the same, found by patterns and proven by tests."""

"""What each operator costs: one rule per operator, in one visible table."""

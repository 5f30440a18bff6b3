"""Time of whole networks that are known by their totals instead of their graph."""

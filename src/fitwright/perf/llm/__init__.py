"""Language models at inference: counts, the time of a pass, serving as events, memory."""

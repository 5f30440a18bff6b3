"""Predicted against published and measured: how far the performance model can be trusted."""

"""Fitwright."""

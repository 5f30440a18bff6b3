"""Whole networks on hardware that is known by submissions: MLPerf, edge boards, NPUs, FPGAs."""

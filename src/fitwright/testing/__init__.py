"""For tests of Fitwright and of backends: fakes of the ports, contract tests, faults."""

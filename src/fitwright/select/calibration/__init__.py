"""`fitwright calibrate`: what this machine really does, operator by operator, per backend."""

"""What the user takes home: the report and the bundle."""

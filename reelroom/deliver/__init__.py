"""What leaves the machine: uploads and callbacks. Knows recordings only through the database and journals."""

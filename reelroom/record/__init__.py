"""The recorder process: frames from the bus into closed segments and a journal. Holds no HTTP and no database."""

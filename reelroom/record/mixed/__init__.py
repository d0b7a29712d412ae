"""Mixed recording: one picture and one sound of a room, drawn, mixed and encoded in the recorder."""

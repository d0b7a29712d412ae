"""What a recording is: pure data and rules. No sockets, files, clocks or FFmpeg, and no import of ours."""

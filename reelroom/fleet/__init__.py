"""Where recorders run: the processes of this machine. Holds no recording logic."""

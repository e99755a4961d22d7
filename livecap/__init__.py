"""Live captions and notes from a microphone, from the system's sound or from a recording."""

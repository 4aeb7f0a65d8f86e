"""Tables of imaging features whose conditional law is known."""

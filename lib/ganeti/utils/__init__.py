"""Small tools, one concern each."""

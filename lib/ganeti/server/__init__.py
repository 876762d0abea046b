"""Wiring, command lines and main() of each program."""

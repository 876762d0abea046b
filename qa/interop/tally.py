"""The counts of a suite; its last line is ``N passed, M failed``."""


class Tally:
    """The counts so far."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, title, good, detail=""):
        """Count one check; print what is wrong with it."""
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {title}: {detail}", flush=True)

    def end(self):
        """Print the last line; return the exit code."""
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return int(self.failed != 0)

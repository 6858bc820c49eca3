"""A tally of named checks that ends in the line every proof ends in."""

import dataclasses
import sys


@dataclasses.dataclass
class Outcome:
    """Counts what passed; keeps and prints what failed."""

    passed: int = 0
    failed: int = 0
    shown: int = 0
    show_at_most: int = 40

    def check(self, name: str, good: bool, detail: str = "") -> bool:
        """One check; a failure is printed with its detail."""
        if good:
            self.passed += 1
        else:
            self.failed += 1
            if self.shown < self.show_at_most:
                print(f"  FAILED {name}: {detail}", flush=True)
            self.shown += 1
        return good

    def equal(self, name: str, got: object, wanted: object) -> bool:
        """One check of equality."""
        return self.check(name, got == wanted, f"got {got!r}, wanted {wanted!r}")

    def finish(self) -> int:
        """Prints the last line and returns the exit status."""
        if self.shown > self.show_at_most:
            print(f"  ... and {self.shown - self.show_at_most} failures more")
        print(f"{self.passed} passed, {self.failed} failed")
        sys.stdout.flush()
        return 1 if self.failed else 0

"""What the proofs in this directory share: a server under test, a small HTTP client, and a tally."""

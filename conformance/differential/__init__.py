"""Random policies, measures and queries: our server's answers against upstream's own arithmetic."""

"""What survives: kill -9 under load, a full disk, flipped bits."""

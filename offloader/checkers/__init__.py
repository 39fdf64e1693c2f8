"""Programs that check what offloader wrote, and need nothing but Python; they are handed out with it."""

"""Pages for people: the explorer, and what the other pages share."""

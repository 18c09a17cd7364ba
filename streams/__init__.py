"""What flows: source records in, events, and resolved entities out, in the order data moves."""

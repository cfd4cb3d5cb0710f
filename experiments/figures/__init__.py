"""From records to a picture: curves of arms, and how they are drawn."""

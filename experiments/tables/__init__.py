"""From records to a table: arms at their best nuisance value, what is said below them, and four formats."""

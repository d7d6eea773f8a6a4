"""What several commands share: options, inputs, tables, and what is said to a person."""

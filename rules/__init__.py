"""From scores to actions: parses, compiles and evaluates rules, as pure functions of values."""

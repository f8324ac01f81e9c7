"""From bytes to scores: decodes, admits, folds and scores events, as pure functions of values."""

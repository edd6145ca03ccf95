"""One class per URL: each translates between HTTP and one service call."""

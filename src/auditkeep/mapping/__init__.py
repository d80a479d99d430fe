"""Keywords, event names, rule names and control ids -> match keys. Pure, over packaged data."""

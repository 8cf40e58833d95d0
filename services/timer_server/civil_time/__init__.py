"""Civil time: zones, local moments and cron rules. Everything else counts in Unix milliseconds.

Nothing here reads a clock: whoever asks says what time it is.
"""

"""Where logs are kept. A store decides nothing about timers."""

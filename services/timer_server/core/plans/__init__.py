"""Plans: rules that start timers again and again. See `plans`."""

"""Who may connect, and what their keys are good for."""

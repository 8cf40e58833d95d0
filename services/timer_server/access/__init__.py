"""Who may connect, and what their keys allow."""

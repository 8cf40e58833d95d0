"""Where logs are kept. A store knows how, never what or when."""

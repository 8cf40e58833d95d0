"""The sockets of the server, and what it knows of the queues behind them."""

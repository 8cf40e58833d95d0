"""The sockets, and what is known of the queues behind them."""

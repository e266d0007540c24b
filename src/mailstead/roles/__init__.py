"""What listens, connects, waits or loops."""

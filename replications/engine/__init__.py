"""Training and measuring; knows no paper."""

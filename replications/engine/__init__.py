"""What trains and measures; knows no paper."""

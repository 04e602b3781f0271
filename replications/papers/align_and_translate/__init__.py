"""Neural machine translation by jointly learning to align and translate (Bahdanau, Cho, Bengio 2015)."""

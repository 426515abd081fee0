"""What every exercise is made of: the three verdicts, number boxes, tables."""

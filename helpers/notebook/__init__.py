"""What every chapter uses and none teaches: data, figures, the palette."""

"""How many wrong guesses an account takes before it is locked, and whom that does not lock out."""

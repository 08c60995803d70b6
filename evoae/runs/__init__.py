"""One run and many: settings, the loop, what is saved, taken up again, swept and compared."""

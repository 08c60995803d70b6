"""How fast generations are on this machine, beside other programs in the same process."""

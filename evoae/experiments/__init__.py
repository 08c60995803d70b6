"""Users of all of the above: the paper reproduced, and throughput measured."""

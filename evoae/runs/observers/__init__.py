"""Who is told how a run goes, one observer a file."""

"""What pahq costs, measured: programs behind ``pahq bench``. Results lie in benchmarks/results."""

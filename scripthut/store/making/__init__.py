"""What brings tasks and attempts into being: documents, generators, retries, reruns, imports."""

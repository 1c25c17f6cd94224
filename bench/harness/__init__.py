"""What all scenarios share: systems, the load generator, results, the table and the plot. See bench/README.md."""

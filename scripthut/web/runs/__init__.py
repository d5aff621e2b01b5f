"""A run's page and the ways to look at one run or several: table, graph, bars, measures, plots."""

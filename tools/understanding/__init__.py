"""What a table is: kinds of columns, statistics, gaps, repeats, drift, order, personal data, and the gates that look for leaks."""

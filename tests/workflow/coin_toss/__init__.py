"""A made-up paper for the workflow's tests: it claims that its coin is fair."""

"""The programs: their command lines, and the parts that each of them consists of."""

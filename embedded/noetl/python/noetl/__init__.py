"""Stands in for the Python package of the NoETL image: it carries a schema where the real one carries NoETL's."""

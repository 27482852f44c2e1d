"""Asks PostgreSQL for the facts that `catalogue_check` judges: from its parser, its catalog and its planner."""

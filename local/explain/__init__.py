"""All that is known about one question: its SQL, its plan, its keys and tags, and how long its answer is used."""

"""Whether the tags of every query are what it reads: asked of the database, before anybody is answered."""

-- summary = "Makes all things calm"
update things set mood = 'calm' where mood <> 'calm' returning id, mood

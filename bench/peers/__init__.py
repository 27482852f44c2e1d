"""Libraries that do a part of what the query function does, each as its documentation recommends for Redis.

A peer caches the JSON body and nothing else: no headers, no entity tag, no lease that another holder can take over, no
tags, and no gzip. Each module says how its library protects a key that many ask for at once.
"""

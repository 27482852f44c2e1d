"""Checks the statements of a catalogue against the database: can they be run, and are the tags right?"""

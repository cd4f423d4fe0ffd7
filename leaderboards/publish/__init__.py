"""Sends a leaderboard, and the results of one backbone, to repositories of the Hugging Face Hub: shown first."""

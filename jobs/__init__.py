"""The job queue and the thread that works on it; it knows no email and no service."""

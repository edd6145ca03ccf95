"""What production needs around the application."""

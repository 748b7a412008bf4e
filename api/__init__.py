"""The AWS front end: knows AWS names, knows no model and no SQL."""

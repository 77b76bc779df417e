"""Define what the command line offers: each verb parses its options and calls what does the work, imported then."""

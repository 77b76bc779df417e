"""A DVC remote in an S3 bucket: many small requests by libcurl, the rest by DVC's own client."""

"""Jenkins at the edge: a local server, and what checks a Jenkinsfile."""

"""Everything for Jenkins: a local server, a client of a controller, and checks of a Jenkinsfile."""

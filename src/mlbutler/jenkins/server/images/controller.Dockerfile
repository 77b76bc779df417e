# Jenkins with its plugins inside: a start needs no network, and the versions are those that were tested.
ARG JENKINS
FROM jenkins/jenkins:${JENKINS}
COPY plugins.txt /usr/share/jenkins/ref/plugins.txt
RUN jenkins-plugin-cli --plugin-file /usr/share/jenkins/ref/plugins.txt --latest false

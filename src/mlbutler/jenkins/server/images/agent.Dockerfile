# An agent that the controller reaches over SSH. Builds run in containers of the Docker daemon beside it.
FROM debian:13-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates docker-buildx docker-cli git openjdk-21-jre-headless openssh-server python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* \
    && useradd --create-home --uid 1000 --shell /bin/bash --password '*' jenkins \
    && mkdir -p /run/sshd
COPY --chmod=755 start-agent /usr/local/bin/start-agent
EXPOSE 22
ENTRYPOINT ["/usr/local/bin/start-agent"]

// What mlbutler's pipelines share: credentials by id around single commands, never for a fork's change, and the image.

/** Run `command` with the credentials that data and Git need. */
def data(Map config, Closure command) {
    bound([git(config)] + remote(config), command)
}

/** Run `command` with the credentials that the forge and Git need. */
def forge(Map config, Closure command) {
    List token = config.forge ? [string(credentialsId: 'mlbutler-forge', variable: 'MLBUTLER_FORGE_TOKEN')] : []
    bound([git(config)] + token, command)
}

/** Run `body` in the project's image, or on the agent itself where no Dockerfile is named. */
def inImage(Map config, Closure body) {
    if (!config.dockerfile) {
        body()
        return
    }
    String folder = config.folder ?: '.'
    // Names of branches may hold what a tag may not; the image is the agent's own and needs no name of theirs.
    String ids = '--build-arg UID=$(id -u) --build-arg GID=$(id -g)'
    def image = docker.build('mlbutler-project', "${ids} -f '${folder}/${config.dockerfile}' '${folder}'")
    image.inside("-e HOME=/home/butler -v ${config.mirror}:${config.mirror}", body)
}

private void bound(List access, Closure command) {
    if (env.CHANGE_FORK) {
        command()
    } else {
        withCredentials(access, command)
    }
}

private Object git(Map config) {
    if (config.git == 'ssh') {
        return sshUserPrivateKey(credentialsId: 'mlbutler-git-ssh', keyFileVariable: 'MLBUTLER_GIT_PRIVATE_KEY_FILE')
    }
    return gitUsernamePassword(credentialsId: 'mlbutler-git', gitToolName: 'Default')
}

private List remote(Map config) {
    switch (config.remote) {
        case 'http':
            return [usernamePassword(credentialsId: 'mlbutler-dvc',
                usernameVariable: 'MLBUTLER_REMOTE_USER', passwordVariable: 'MLBUTLER_REMOTE_PASSWORD')]
        case 's3':
            return [usernamePassword(credentialsId: 'mlbutler-s3',
                usernameVariable: 'AWS_ACCESS_KEY_ID', passwordVariable: 'AWS_SECRET_ACCESS_KEY')]
        case 'ssh':
            return [sshUserPrivateKey(credentialsId: 'mlbutler-ssh',
                usernameVariable: 'MLBUTLER_REMOTE_USER', keyFileVariable: 'MLBUTLER_REMOTE_PRIVATE_KEY_FILE')]
        case 'gs':
            return [file(credentialsId: 'mlbutler-gs', variable: 'GOOGLE_APPLICATION_CREDENTIALS')]
        case 'azure':
            return [string(credentialsId: 'mlbutler-azure', variable: 'AZURE_STORAGE_CONNECTION_STRING')]
    }
    if (config.remote) {
        error("mlbutler: there is no remote '${config.remote}': one of http, s3, ssh, gs, azure, or none")
    }
    return []
}

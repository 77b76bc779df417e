// What mlbutler's pipelines share: credentials by id around single commands, for a fork's change where it was approved,
// and the image.

/** Run `command` with the credentials that data and Git need. */
def data(Map config, Closure command) {
    bound([gitAccess(config)] + remoteAccess(config), command)
}

/** Run `command` with the credentials that the forge and Git need. */
def forge(Map config, Closure command) {
    bound([gitAccess(config)] + (config.forge ? [forgeAccess()] : []) + trackerAccess(config), command)
}

/** Has somebody with write access approved this very commit of a fork? Asked before any of its code runs here. */
void askForApproval(Map config) {
    if (env.CHANGE_FORK && config.forge) {
        withCredentials([forgeAccess()]) {
            String said = output('mlbutler approve --check || true').trim()
            if (said ==~ /[0-9a-f]{40,64} [A-Za-z0-9._@-]+/) { env.MLBUTLER_APPROVED = said }
        }
    }
}

Object forgeAccess() {
    return string(credentialsId: 'mlbutler-forge', variable: 'MLBUTLER_FORGE_TOKEN')
}

/** Run one command; it fails with the command. */
void command(String text) {
    int code = status(text)
    if (code) { error("${text}: exit code ${code}") }
}

/** The exit code of one command. */
int status(String text) {
    int code = -1
    alive {
        code = sh(returnStatus: true, script: text)
        // Jenkins' own code; a command that ends so is 255. No condition of `retry` covers it.
        if (code == -1) { error('the agent is back, and the process is gone') }
    }
    return code
}

/** What one command writes. */
String output(String text) {
    String written = ''
    alive { written = sh(returnStdout: true, script: text) }
    return written
}

/**
 * Run `body`, a command. mlbutler writes a line a minute: after half an hour without one its process or its agent is
 * dead, and it runs once more; here, or where the agent is lost, on another, by the `retry` around `node`. It takes up
 * what was finished. Jenkins repeats nothing after an abort.
 */
void alive(Closure body) {
    retry(2) {
        timeout(activity: true, time: 30, unit: 'MINUTES') { body() }
    }
}

/** Does the agent still run commands? A step that fails on one that is lost would fail the whole build. */
boolean reachable() {
    try {
        return timeout(time: 5, unit: 'MINUTES') { sh(returnStatus: true, script: ':') == 0 }
    } catch (ignored) {
        return false
    }
}

/**
 * Check out the build's commit and run `body` in the project's image. GIT_URL says where the commit came from: Jenkins
 * sets it for declarative pipelines alone, and what stands in the clone's own configuration the change can write.
 */
void inCheckout(Map config, Closure body) {
    Map found = checkout(scm) ?: [:]
    inImage(config) {
        withEnv(found.GIT_URL ? ["GIT_URL=${found.GIT_URL}"] : []) { body() }
    }
}

/** Run `body` in the project's image, or on the agent itself where no Dockerfile is named. */
def inImage(Map config, Closure body) {
    if (!config.dockerfile) {
        body()
        return
    }
    String folder = config.folder ?: '.'
    if (env.CHANGE_FORK) { agreed(config) }
    // A tag for each job: two jobs on one agent must not take each other's image, and a job's name, which holds that of
    // a branch, may have what a tag may not.
    String tag = sh(returnStdout: true, script: 'printf %s "$JOB_NAME" | git hash-object --stdin').trim()
    String ids = '--build-arg UID=$(id -u) --build-arg GID=$(id -g)'
    def image = docker.build("mlbutler-${tag}", "${ids} -f '${folder}/${config.dockerfile}' '${folder}'")
    // --init: no process stays behind. No set-uid program and no capability makes the user another.
    String options = '--init --security-opt no-new-privileges --cap-drop ALL --pids-limit 4096'
    if (config.dockerArgs) { options += " ${config.dockerArgs}" }
    // A fork's code may read the mirror and not write it.
    String mirror = "${config.mirror}:${config.mirror}${env.CHANGE_FORK ? ':ro' : ''}"
    image.inside("${options} -e HOME=/home/butler -v ${mirror}", body)
}

/** Read what the image is made of; Jenkins refuses what a fork's change has otherwise than the target branch. */
void agreed(Map config) {
    String top = config.folder ? "${config.folder}/" : ''
    readTrusted("${top}${config.dockerfile}")
    // Docker takes the first of these that is there, and Docker's build gets nothing else of the repository.
    String ignore = "${top}${config.dockerfile}.dockerignore"
    if (!fileExists(ignore)) { ignore = "${top}.dockerignore" }
    boolean closed = false
    for (line in readTrusted(ignore).readLines()) {
        String name = line.trim()
        if (name in ['*', '**']) { closed = true }
        if (name.startsWith('!')) { readTrusted("${top}${name.substring(1).trim()}") }
    }
    if (!closed) { // its own code would be run by what builds the image
        error("mlbutler: no image is built of a fork's change: ${ignore} lacks a line '*', which keeps all else out")
    }
}

/** Remove the workspace; what cannot be removed is said, and ends nothing. */
void clean() {
    String said = 'The workspace could not be removed: does it hold files of another user, such as root?'
    catchError(buildResult: 'SUCCESS', stageResult: 'UNSTABLE', message: said) { deleteDir() }
}

void bound(List access, Closure command) {
    timeout(time: 12, unit: 'HOURS') {
        if (env.CHANGE_FORK && !env.MLBUTLER_APPROVED) {
            command()
        } else {
            withCredentials(access, command)
        }
    }
}

Object gitAccess(Map config) {
    if (config.git == 'ssh') {
        return sshUserPrivateKey(credentialsId: 'mlbutler-git-ssh', keyFileVariable: 'MLBUTLER_GIT_PRIVATE_KEY_FILE')
    }
    return gitUsernamePassword(credentialsId: 'mlbutler-git', gitToolName: 'Default')
}

List trackerAccess(Map config) {
    return config.tracker ? [usernamePassword(credentialsId: 'mlbutler-mlflow',
        usernameVariable: 'MLFLOW_TRACKING_USERNAME', passwordVariable: 'MLFLOW_TRACKING_PASSWORD')] : []
}

/** Run `command`, which sends an experiment's results, with what data, Git and the MLflow server need. */
def results(Map config, Closure command) {
    bound([gitAccess(config)] + remoteAccess(config) + trackerAccess(config), command)
}

List remoteAccess(Map config) {
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

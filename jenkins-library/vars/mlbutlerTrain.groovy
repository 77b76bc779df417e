// One experiment of `mlbutler train --on jenkins`, for a job whose Jenkinsfile.train has two lines:
//     @Library('mlbutler') _
//     mlbutlerTrain(label: 'gpu', dockerfile: 'Dockerfile', remote: 's3')
// The script is the default branch's, the code the experiment's. `mlbutler` keeps the state of the experiment in the
// repository: who runs it, how often it was begun, and when it is given up.

def call(Map given = [:]) {
    Map known = [
        label: 'docker', // of the agents, where the experiment names none
        labels: [], // further ones that an experiment may name
        dockerfile: '', // as for mlbutlerPipeline, and all below
        folder: '',
        mirror: '/mirror',
        dockerArgs: '',
        git: 'https',
        remote: '',
        tracker: false,
    ]
    List unknown = []
    for (name in given.keySet()) {
        if (!known.containsKey(name)) { unknown << name }
    }
    if (unknown) {
        error("mlbutlerTrain: unknown settings ${unknown}; there are ${known.keySet()}")
    }
    Map config = known + given
    properties([
        parameters([
            string(name: 'EXPERIMENT', defaultValue: '', description: 'The experiment; `mlbutler train` sets it.'),
            string(name: 'LABEL', defaultValue: '', description: 'Of the agents; empty for the usual one.'),
        ]),
        buildDiscarder(logRotator(daysToKeepStr: '30', numToKeepStr: '1000')),
    ])
    if (!params.EXPERIMENT) {
        echo('mlbutlerTrain: the job has its parameters now; `mlbutler train` starts its builds')
        currentBuild.result = 'NOT_BUILT'
        return
    }
    if (!(params.EXPERIMENT ==~ /[0-9a-f]{40}/)) {
        error('mlbutlerTrain: EXPERIMENT is not the id of an experiment')
    }
    if (!allowed(config, params.LABEL)) {
        error("mlbutlerTrain: no experiment may ask for this label; there are ${[config.label] + config.labels}")
    }
    List variables = ["MLBUTLER_TRAIN_EXPERIMENT=${params.EXPERIMENT}"]
    if (config.dockerfile) { variables << "MLBUTLER_DATA_MIRROR=${config.mirror}" }
    if (config.folder) { variables << "MLBUTLER_CHDIR=${config.folder}" }
    Map state = [again: true, failed: '', result: 'FAILURE', number: '', next: []]
    try {
        withEnv(variables) {
            // mlbutler counts the attempts, and says when there are enough; these are against a mistake.
            for (int tries = 0; state.again && tries < 20; tries++) {
                retry(count: 20, conditions: [agent(), nonresumable()]) {
                    onAgent(config, params.LABEL ?: config.label, state)
                }
            }
        }
        if (state.result != 'SUCCESS') { currentBuild.result = state.result }
    } finally {
        for (line in state.next) { start(config, line) }
    }
}

boolean allowed(Map config, String label) {
    return !label || label == config.label || config.labels.contains(label)
}

/** Start the build of another experiment: a line has its id and its label. */
void start(Map config, String line) {
    List words = line.trim().tokenize(' ')
    String label = words.size() > 1 ? words.tail().join(' ') : ''
    if (!words || !(words[0] ==~ /[0-9a-f]{40}/) || !allowed(config, label)) {
        echo("mlbutlerTrain: not started, since its label is none of ours: ${line}")
        return
    }
    build(job: "/${env.JOB_NAME}", wait: false, quietPeriod: 0, parameters: [
        string(name: 'EXPERIMENT', value: words[0]),
        string(name: 'LABEL', value: label),
    ])
}

/** Make an attempt on an agent: not again on the one that failed, as long as another one has the label. */
void onAgent(Map config, String label, Map state) {
    Map place = [begun: false]
    if (state.failed) {
        String others = "(${label}) && !\"${state.failed}\""
        Throwable trouble = failure {
            timeout(activity: true, time: 30, unit: 'MINUTES') { node(others) { attempt(config, state, place) } }
        }
        if (trouble && place.begun) { throw trouble }
    }
    if (!place.begun) { node(label) { attempt(config, state, place) } }
}

/**
 * What ended `body`, or null. An abort ends the build, as ever: `retry` repeats nothing after one, and here it has
 * nothing to repeat. `catchError` would take a limit of time for an abort, and make that the build's result.
 */
Throwable failure(Closure body) {
    Throwable found = null
    retry(2) {
        if (found) { return }
        try {
            body()
        } catch (error) {
            found = error
            throw error
        }
    }
    return found
}

void attempt(Map config, Map state, Map place) {
    place.begun = true
    state.failed = env.NODE_NAME
    state.again = false
    try {
        deleteDir() // what an earlier build's code left there could be what Git runs
        Map found = checkout(experiment()) ?: [:]
        mlbutlerAccess.command('git checkout --quiet --detach HEAD^') // its state is a commit on that which is run
        mlbutlerAccess.inImage(config) {
            withEnv(found.GIT_URL ? ["GIT_URL=${found.GIT_URL}"] : []) { taken(config, state) }
        }
    } finally {
        if (mlbutlerAccess.reachable()) { mlbutlerAccess.clean() }
    }
}

/** What Jenkins checks out: the experiment's ref, from where it has the script from. */
Map experiment() {
    List remotes = []
    for (one in scm.userRemoteConfigs) {
        remotes << [url: one.url, credentialsId: one.credentialsId, name: 'origin',
            refspec: "+refs/mlbutler/train/${params.EXPERIMENT}:refs/remotes/origin/mlbutler/train"]
    }
    return [changelog: false, poll: false, scm: [
        $class: 'GitSCM', branches: [[name: 'refs/remotes/origin/mlbutler/train']], userRemoteConfigs: remotes,
        extensions: [[$class: 'CloneOption', honorRefspec: true, noTags: true]],
    ]]
}

/** Begin the experiment, run it, save what it made. When the build is aborted, what there is is saved all the same. */
void taken(Map config, Map state) {
    boolean aborted = true
    Throwable trouble = null
    try {
        trouble = failure { went(config, state) }
        aborted = false
    } finally {
        if (aborted && mlbutlerAccess.reachable()) { saved(config, state, 'mlbutler train agent save --aborted') }
    }
    if (trouble) { throw trouble } // where the agent is lost, another takes over
}

void went(Map config, Map state) {
    int code = -1
    stage('begin') { mlbutlerAccess.data(config) { code = mlbutlerAccess.status('mlbutler train agent begin') } }
    String number = attemptNumber(config)
    if (code || !number) {
        concluded(config, state, code, false)
        if (!code) { state.result = 'NOT_BUILT' }
        return
    }
    state.number = number
    // Whatever became of it but the loss of the agent: `save` finds out.
    Throwable trouble = failure { stage('run') { withEnv(["MLBUTLER_TRAIN_ATTEMPT=${number}"]) { ran() } } }
    if (trouble && !mlbutlerAccess.reachable()) { throw trouble }
    saved(config, state, 'mlbutler train agent save')
}

/** The number of the attempt that has begun, '' for none. */
String attemptNumber(Map config) {
    String file = "${config.folder ? config.folder + '/' : ''}.mlbutler/train/attempt"
    String number = fileExists(file) ? readFile(file).trim() : ''
    return number ==~ /[0-9]{1,9}/ ? number : ''
}

/**
 * Run the experiment, without any credential. Beside it waits an input, by which those who may build the job ask it to
 * end: the stage gets so many seconds, and what there is is kept.
 */
void ran() {
    Map state = [ended: false, aborted: false]
    try {
        parallel(
            failFast: true,
            experiment: {
                mlbutlerAccess.status('mlbutler train agent run')
                if (state.aborted) { return } // and the other branch has failed of it
                state.ended = true
                error('mlbutlerTrain: it has ended, and nobody needs to be waited for') // this ends the other branch
            },
            stop: {
                def grace = ''
                try {
                    grace = input(id: 'Stop', message: 'Ask the experiment to end, and keep what it has?', ok: 'Stop',
                        parameters: [string(name: 'GRACE', defaultValue: '30', description: 'Seconds that it has.')])
                } catch (error) {
                    // An abort ends both branches, but no `sh` whose command ends with 0 all the same.
                    state.aborted = !state.ended
                    throw error
                }
                withEnv(["MLBUTLER_TRAIN_GRACE=${grace}"]) {
                    mlbutlerAccess.command('cd "${MLBUTLER_CHDIR:-.}/.mlbutler/train" && ' +
                        'printf "%s\\n" "$MLBUTLER_TRAIN_GRACE" > stop.new && mv stop.new stop')
                }
            },
        )
    } catch (error) {
        if (!state.ended) { throw error }
    }
}

/** Send results and state; where the command did that, it has printed what may begin now. */
void saved(Map config, Map state, String command) {
    // A step `sh` returns either the exit code or what is written: here the first line of that is the code.
    String script = 'code=0; named="$(' + command + ')" || code=$?; printf "%s\\n" "$code" ${named:+"$named"}'
    List lines = []
    stage('save') {
        withEnv(state.number ? ["MLBUTLER_TRAIN_ATTEMPT=${state.number}"] : []) {
            mlbutlerAccess.results(config) { lines = mlbutlerAccess.output(script).readLines() }
        }
    }
    int code = lines[0].toInteger()
    state.next = lines.tail()
    concluded(config, state, code, code in [0, 1, 130])
}

/** Note what became of the experiment: 0 done, 130 cancelled, 3 another agent is to try again, else failed. */
void concluded(Map config, Map state, int code, boolean named) {
    state.again = code == 3
    state.result = code == 0 ? 'SUCCESS' : code == 130 ? 'ABORTED' : 'FAILURE'
    state.number = ''
    if (state.again || named) { return }
    Throwable trouble = failure {
        mlbutlerAccess.data(config) { state.next = mlbutlerAccess.output('mlbutler train agent next').readLines() }
    }
    if (trouble) { echo("mlbutlerTrain: the next experiments are not started: ${trouble.message}") }
}

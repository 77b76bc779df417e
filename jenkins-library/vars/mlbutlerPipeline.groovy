// The whole pipeline of a DVC project, for a Jenkinsfile of two lines:
//     @Library('mlbutler') _
//     mlbutlerPipeline(label: 'docker', dockerfile: 'Dockerfile', remote: 'http')

import groovy.json.JsonOutput
import groovy.json.JsonSlurper

def call(Map given = [:]) {
    Map known = [
        label: 'docker', // of the agents
        dockerfile: '', // builds run in this image; '' where mlbutler is installed on the agents
        folder: '', // the DVC project's folder in the repository
        mirror: '/mirror', // with a Dockerfile: the agent's directory that builds share
        dockerArgs: '', // with a Dockerfile: further options of `docker run`, such as '--gpus all --shm-size 8g'
        git: 'https', // or 'ssh'
        remote: '', // kind of the DVC remote that wants credentials: http, s3, ssh, gs, azure
        forge: true, // is there a token for comments and statuses
        tracker: false, // do runs go to an MLflow server with a user name and a password
        gateAs: 'fail', // or 'unstable'
        labels: [], // of agents that stages of dvc.yaml may name; with any, every stale stage gets an agent of its own
        junit: '', // the project's JUnit files, beside the .mlbutler/junit.xml of a test command from `mlbutler init`
        safeHtml: false, // the controller's markup formatter is "Safe HTML": the build's description has links
        commands: false, // mlbutlerCommands() starts builds of pull requests, with parameters
        name: '', // which pipeline this is, where several of the project report on one pull request
    ]
    List unknown = []
    for (name in given.keySet()) {
        if (!known.containsKey(name)) { unknown << name }
    }
    if (unknown) {
        error("mlbutlerPipeline: unknown settings ${unknown}; there are ${known.keySet()}")
    }
    Map config = known + given
    List kept = [
        buildDiscarder(logRotator(numToKeepStr: '50', artifactNumToKeepStr: '20')),
        // A push to a pull request aborts its build under way; builds of a branch wait for each other.
        disableConcurrentBuilds(abortPrevious: env.CHANGE_ID != null),
    ]
    if (config.commands) {
        kept << parameters([
            string(name: 'REPEATS', defaultValue: '', description: 'Seeds for the metrics of gates.'),
            string(name: 'SAMPLE', defaultValue: '', description: 'Share of the stages to verify, such as 100%.'),
        ])
    }
    properties(kept)
    // The stages are the steps of one run: each looks at the results of those before it.
    List variables = ['MLBUTLER_IN_RUN=true']
    if (config.dockerfile) { variables << "MLBUTLER_DATA_MIRROR=${config.mirror}" }
    if (config.folder) { variables << "MLBUTLER_CHDIR=${config.folder}" }
    if (config.name) { variables << "MLBUTLER_REPORT_NAME=${config.name}" }
    if (config.commands) {
        variables << "MLBUTLER_COMPARE_REPEATS=${params.REPEATS ?: ''}"
        variables << "MLBUTLER_VERIFY_SAMPLE=${params.SAMPLE ?: ''}"
    }
    Map state = [told: false, stashed: false]
    withEnv(variables) {
        // Not of a build that was aborted: that one ends.
        catchError(catchInterruptions: false) {
            if (config.labels) {
                fannedOut(config, state)
            } else {
                onAgent(config) {
                    reported(config, state) {
                        if (cleaned()) {
                            look(config)
                            finish(config)
                        }
                    }
                }
            }
        }
        if (!state.told) { lastWord(config, state) }
    }
}

/** The agent was lost, and so was the one that took over: a third one tells how far the build came. */
void lastWord(Map config, Map state) {
    node(config.label) {
        mlbutlerAccess.inCheckout(config) {
            if (cleaned()) {
                if (state.stashed) { unstash('mlbutler-record') }
                tell(config, true, state)
            }
        }
        mlbutlerAccess.clean()
    }
}

/** One agent looks, others run the stages, one finishes: no agent waits for another. */
void fannedOut(Map config, Map state) {
    List stages = []
    String record = pattern("${config.folder ? config.folder + '/' : ''}.mlbutler/*.json")
    boolean looked = false
    onAgent(config) {
        boolean ended = false
        try {
            if (cleaned()) {
                boolean passed = look(config)
                looked = passed && failLater {
                    stages = planned(config)
                    String kept = "${record}, ${tests(config)}"
                    stash(name: 'mlbutler-record', includes: kept, useDefaultExcludes: false)
                    state.stashed = true
                }
                if (!looked) { finish(config) }
            }
            ended = true
        } finally {
            if (!looked && mlbutlerAccess.reachable()) { tell(config, ended, state) }
        }
    }
    if (!looked) { return }
    List runs = []
    List failed = []
    // A stage that failed is reported, on an agent; a build that was aborted ends, and takes none.
    catchError(catchInterruptions: false) { mlbutlerStages(config, stages, runs, failed) }
    onAgent(config) {
        unstash('mlbutler-record')
        mlbutlerStages.handOver(runs)
        // What ran elsewhere is restored from the run cache here; what failed elsewhere is not run again.
        List handed = ["MLBUTLER_REPRODUCE_FAILED=${asJson(failed)}", 'MLBUTLER_HANDED_RUNS=true']
        reported(config, state) { withEnv(handed) { finish(config) } }
    }
}

/** Names as a JSON list: a comma may be in one. The sandbox lets single texts be written, and no lists. */
String asJson(List names) {
    List written = []
    for (name in names) { written << JsonOutput.toJson(name as String) }
    return "[${written.join(',')}]"
}

/** Remove what a killed build left behind; where that cannot be done, no step is taken, and that is published. */
boolean cleaned() {
    return failLater { mlbutlerAccess.command('git clean -ffdxq -e "**/.dvc/cache"') }
}

/** The steps that come first; may stages run after them? A plan of which some stages cannot run has others that can. */
boolean look(Map config) {
    boolean tested = true
    boolean linted = true
    stage('plan') {
        failLater { mlbutlerAccess.askForApproval(config) }
        failLater { data(config, 'mlbutler plan') }
    }
    stage('test and lint') {
        parallel(
            test: {
                tested = failLater { timeout(time: 2, unit: 'HOURS') { mlbutlerAccess.command('mlbutler test') } }
            },
            lint: {
                linted = failLater { timeout(time: 1, unit: 'HOURS') { mlbutlerAccess.command('mlbutler lint') } }
            },
        )
    }
    return tested && linted
}

/** Run `command`; a failure fails the build at its end, and is no reason not to go on. Did it pass? */
boolean failLater(Closure command) {
    boolean passed = false
    try {
        command()
        passed = true
    } catch (error) {
        // Where the agent is lost, another takes over.
        if (!mlbutlerAccess.reachable()) { throw error }
        catchError(stageResult: 'FAILURE', catchInterruptions: false) { throw error }
    }
    return passed
}

/** What `mlbutler plan` found, as plain maps: what the parser makes does not survive a restart of the controller. */
List planned(Map config) {
    String text = ''
    // Its exit code has been reported; a plan with 1 (some stages cannot run) or 3 (not known) has others.
    String script = 'mlbutler plan --json || case "$?" in 1|3) ;; *) exit 1 ;; esac'
    mlbutlerAccess.data(config) { text = mlbutlerAccess.output(script) }
    List stages = []
    boolean known = false
    def found = new JsonSlurper().parseText(text).result
    if (found && found.outcome != 'error') {
        known = true
        for (one in found.stages) {
            stages << [name: one.name, state: one.state, label: one.label, after: one.after.collect { name -> name }]
        }
    }
    found = null
    if (!known) { error('mlbutler: there is no plan to go by') }
    return stages
}

/** The steps after those, whatever failed: each does nothing, and says so, when one that it needs has failed. */
void finish(Map config) {
    stage('sync') { failLater { data(config, 'mlbutler sync') } }
    stage('check') { failLater { data(config, 'mlbutler check') } }
    stage('reproduce') { failLater { timeout(time: 5, unit: 'DAYS') { mlbutlerAccess.command('mlbutler reproduce') } } }
    stage('push') { failLater { data(config, 'mlbutler push') } }
    stage('compare') { failLater { compare(config) } }
    stage('commit') { failLater { data(config, 'mlbutler commit') } }
}

void compare(Map config) {
    if (config.gateAs == 'unstable') {
        int code = 0
        mlbutlerAccess.data(config) { code = mlbutlerAccess.status('mlbutler compare') }
        if (code == 1) {
            unstable('a gate failed: see the report')
        } else if (code != 0) {
            error("mlbutler compare ended with exit code ${code}")
        }
    } else {
        data(config, 'mlbutler compare')
    }
}

void reported(Map config, Map state, Closure body) {
    boolean ended = false
    try {
        body()
        ended = true // a step that fails does not keep the others from being taken: only an abort does
    } finally {
        // Nothing is published from an agent that is lost: the one that takes over does it.
        if (mlbutlerAccess.reachable()) { tell(config, ended, state) }
    }
}

/** Tell the reviewers. ended: the steps were taken; else the build was aborted. */
void tell(Map config, boolean ended, Map state) {
    state.told = true
    String top = config.folder ? "${config.folder}/" : ''
    String all = pattern(top)
    stage('report') {
        boolean written = false
        catchError { // first of all: the build of the results commit may abort this one
            mlbutlerAccess.command(ended ? 'mlbutler report' : 'mlbutler report --interrupted')
            written = true
            String verdict = "${top}.mlbutler/report/verdict.${config.safeHtml ? 'html' : 'txt'}"
            if (fileExists(verdict)) { currentBuild.description = readFile(verdict).trim() } // in the list of builds
            mlbutlerAccess.forge(config) { mlbutlerAccess.command('mlbutler publish') }
        }
        junit(allowEmptyResults: true, testResults: tests(config))
        // The agent copies these, outside of any container: a link that the project's code left leads it nowhere.
        if (written) {
            publishHTML([reportName: 'mlbutler', reportDir: "${top}.mlbutler/report", reportFiles: 'report.html',
                includes: 'report.html', allowMissing: true, alwaysLinkToLastBuild: true, keepAll: true])
            if (env.BRANCH_IS_PRIMARY) { experiments(config, top) }
        }
        archiveArtifacts(allowEmptyArchive: true, followSymlinks: false,
            artifacts: "${all}.mlbutler/report/**, ${all}.mlbutler/*.json, ${all}.mlbutler/*.log")
    }
}

/** Write one page of all experiments beside the report; a build that cannot does not fail. */
void experiments(Map config, String top) {
    mlbutlerAccess.forge(config) {
        mlbutlerAccess.status('mlbutler board --fetch -o .mlbutler/report/experiments.html')
    }
    publishHTML([reportName: 'experiments', reportDir: "${top}.mlbutler/report", reportFiles: 'experiments.html',
        includes: 'experiments.html', allowMissing: true, alwaysLinkToLastBuild: true, keepAll: false])
}

/** The project's JUnit files, as patterns: what mlbutler judged is in the report, and is no test of the project. */
String tests(Map config) {
    String own = pattern("${config.folder ? config.folder + '/' : ''}.mlbutler/junit.xml")
    return config.junit ? "${own}, ${config.junit}" : own
}

/** A path as a pattern of Ant's; a comma would part two. */
String pattern(String path) {
    return path.replace(',', '?')
}

void data(Map config, String command) {
    mlbutlerAccess.data(config) { mlbutlerAccess.command(command) }
}

void onAgent(Map config, Closure body) {
    retry(count: 2, conditions: [agent(), nonresumable()]) { // the agent is lost: once more, on another
        node(config.label) {
            try {
                mlbutlerAccess.inCheckout(config, body)
            } finally {
                if (mlbutlerAccess.reachable()) { mlbutlerAccess.clean() }
            }
        }
    }
}

// The whole pipeline of a DVC project, for a Jenkinsfile of two lines:
//     @Library('mlbutler') _
//     mlbutlerPipeline(label: 'docker', dockerfile: 'Dockerfile', remote: 'http')

import groovy.json.JsonSlurper

def call(Map given = [:]) {
    Map known = [
        label: 'docker', // of the agents
        dockerfile: '', // builds run in this image; '' where mlbutler is installed on the agents
        folder: '', // the DVC project's folder in the repository
        mirror: '/mirror', // with a Dockerfile: the agent's directory that builds share
        git: 'https', // or 'ssh'
        remote: '', // kind of the DVC remote that wants credentials: http, s3, ssh, gs, azure
        forge: true, // is there a token for comments and statuses
        gateAs: 'fail', // or 'unstable'
        labels: [], // of agents that stages of dvc.yaml may name; with any, every stale stage gets an agent of its own
        junit: '', // further JUnit files
    ]
    List unknown = []
    for (name in given.keySet()) {
        if (!known.containsKey(name)) { unknown << name }
    }
    if (unknown) {
        error("mlbutlerPipeline: unknown settings ${unknown}; there are ${known.keySet()}")
    }
    Map config = known + given
    properties([
        buildDiscarder(logRotator(numToKeepStr: '50', artifactNumToKeepStr: '20')),
        // A push to a pull request aborts its build under way; builds of a branch wait for each other.
        disableConcurrentBuilds(abortPrevious: env.CHANGE_ID != null),
    ])
    List variables = ['MLBUTLER_IN_RUN=true'] // the stages are the steps of one run: each heeds those before it
    if (config.dockerfile) { variables << "MLBUTLER_DATA_MIRROR=${config.mirror}" }
    if (config.folder) { variables << "MLBUTLER_CHDIR=${config.folder}" }
    withEnv(variables) {
        if (config.labels) {
            fannedOut(config)
        } else {
            onAgent(config) {
                reported(config) {
                    look(config)
                    stage('sync') { data(config, 'mlbutler sync') }
                    finish(config)
                }
            }
        }
    }
}

/** One agent looks, others run the stages, one finishes: no agent waits for another. */
void fannedOut(Map config) {
    List stages = []
    String record = pattern("${config.folder ? config.folder + '/' : ''}.mlbutler/*.json")
    onAgent(config) {
        boolean looked = false
        try {
            look(config)
            stages = planned(config)
            stash(name: 'mlbutler-record', includes: record, useDefaultExcludes: false)
            looked = true
        } finally {
            if (!looked && mlbutlerAccess.reachable()) { tell(config) }
        }
    }
    List runs = []
    boolean made = false
    // A stage that failed is told of, on an agent; a build that was aborted ends, and takes none.
    catchError(catchInterruptions: false) {
        mlbutlerStages(config, stages, runs)
        made = true
    }
    onAgent(config) {
        unstash('mlbutler-record')
        for (run in runs) { unstash(run) }
        reported(config) {
            if (made) {
                // What ran elsewhere is restored from the run cache here.
                stage('sync') { data(config, 'mlbutler sync') }
                finish(config)
            }
        }
    }
}

void look(Map config) {
    stage('plan') {
        sh('git clean -ffdxq -e "**/.dvc/cache"') // what a killed build left behind
        data(config, 'mlbutler plan')
    }
    stage('test and lint') {
        parallel(
            test: { timeout(time: 2, unit: 'HOURS') { mlbutlerAccess.command('mlbutler test') } },
            lint: { timeout(time: 1, unit: 'HOURS') { mlbutlerAccess.command('mlbutler lint') } },
        )
    }
}

/** What `mlbutler plan` found, as plain maps: what the parser makes does not survive a restart of the controller. */
List planned(Map config) {
    String text = ''
    mlbutlerAccess.data(config) { text = sh(returnStdout: true, script: 'mlbutler plan --json') }
    List stages = []
    for (one in new JsonSlurper().parseText(text).result.stages) {
        stages << [name: one.name, state: one.state, label: one.label, after: one.after.collect { name -> name }]
    }
    return stages
}

void finish(Map config) {
    stage('check') { catchError(stageResult: 'FAILURE', catchInterruptions: false) { data(config, 'mlbutler check') } }
    stage('reproduce') { timeout(time: 5, unit: 'DAYS') { mlbutlerAccess.command('mlbutler reproduce') } }
    stage('push') { data(config, 'mlbutler push') }
    stage('compare') {
        if (config.gateAs == 'unstable') {
            int code = 0
            mlbutlerAccess.data(config) { code = mlbutlerAccess.judged('mlbutler compare') }
            if (code == 1) {
                unstable('a gate failed: see the report')
            } else if (code != 0) { // also -1: the process was gone a second time
                error("mlbutler compare ended with exit code ${code}")
            }
        } else {
            catchError(stageResult: 'FAILURE', catchInterruptions: false) { data(config, 'mlbutler compare') }
        }
    }
    stage('commit') { data(config, 'mlbutler commit') }
}

void reported(Map config, Closure body) {
    try {
        body()
    } finally {
        // Nothing is told from an agent that is lost: the one that takes over does it.
        if (mlbutlerAccess.reachable()) { tell(config) }
    }
}

void tell(Map config) {
    String top = config.folder ? "${config.folder}/" : ''
    String all = pattern(top)
    stage('report') {
        catchError { // first of all: the build of the results commit may abort this one
            mlbutlerAccess.command('mlbutler report')
            mlbutlerAccess.forge(config) { mlbutlerAccess.command('mlbutler publish') }
        }
        String more = config.junit ? ", ${config.junit}" : ''
        junit(allowEmptyResults: true, testResults: "${all}.mlbutler/report/report.xml${more}")
        publishHTML([reportName: 'mlbutler', reportDir: "${top}.mlbutler/report", reportFiles: 'report.html',
            allowMissing: true, alwaysLinkToLastBuild: true, keepAll: true])
        archiveArtifacts(allowEmptyArchive: true,
            artifacts: "${all}.mlbutler/report/**, ${all}.mlbutler/*.json, ${all}.mlbutler/*.log")
    }
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

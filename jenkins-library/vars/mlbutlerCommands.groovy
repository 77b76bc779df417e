// What comments on pull requests ask for, such as /mlbutler run, for a job of its own of the default branch, called
// like the multibranch job with -commands at its end, whose Jenkinsfile.commands has two lines:
//     @Library('mlbutler') _
//     mlbutlerCommands(label: 'docker', dockerfile: 'Dockerfile', forge: 'github')
// mlbutler asks the forge who wrote the comment, whether it was changed since, and whether its author may write; of
// the webhook two numbers are taken, and of the comment nothing reaches a shell.

def call(Map given = [:]) {
    Map known = [
        forge: 'github', // whose webhook it is: github, gitea, gogs, gitlab, bitbucket
        label: 'docker', // of an agent that runs no pull requests
        dockerfile: '', // as for mlbutlerPipeline, and all below
        folder: '',
        mirror: '/mirror',
        dockerArgs: '',
        git: 'https',
    ]
    List unknown = []
    for (name in given.keySet()) {
        if (!known.containsKey(name)) { unknown << name }
    }
    if (unknown) {
        error("mlbutlerCommands: unknown settings ${unknown}; there are ${known.keySet()}")
    }
    Map config = known + given
    List found = places(config.forge)
    properties([
        parameters([
            string(name: 'NUMBER', defaultValue: '', description: 'The pull request; the webhook sets it.'),
            string(name: 'COMMENT', defaultValue: '', description: 'The id of the comment; the webhook sets it.'),
            string(name: 'PROJECT', defaultValue: '',
                description: 'Multibranch job; empty: this name without -commands.'),
        ]),
        pipelineTriggers([
            GenericTrigger(
                genericVariables: [
                    [key: 'NUMBER', value: found[0], regexpFilter: '[^0-9]'],
                    [key: 'COMMENT', value: found[1], regexpFilter: '[^0-9]'],
                ],
                tokenCredentialId: 'mlbutler-comments',
                causeString: 'a comment',
                printContributedVariables: false,
                printPostContent: false,
            ),
        ]),
        buildDiscarder(logRotator(daysToKeepStr: '30', numToKeepStr: '1000')),
    ])
    if (!isNumber(env.NUMBER) || !isNumber(env.COMMENT)) {
        echo('The job has its parameters and its trigger now; or this webhook is about something else.')
        currentBuild.result = 'NOT_BUILT'
        return
    }
    Map asked = [:]
    node(config.label) { asked = answer(config) }
    if (isNumber(asked.number)) { // the pull request's own job asks again whether a fork's commit is approved
        String project = params.PROJECT ?: env.JOB_NAME.replaceAll(/-commands$/, '')
        build(job: "/${project}/${config.forge == 'gitlab' ? 'MR' : 'PR'}-${asked.number}", wait: false, parameters: [
            string(name: 'REPEATS', value: asked.repeats ?: ''),
            string(name: 'SAMPLE', value: asked.sample ?: ''),
        ])
    }
}

/** Where the webhook of a forge has the pull request's number and the comment's id. */
List places(String forge) {
    List issue = ['$.issue.number', '$.comment.id']
    Map known = [
        github: issue, gitea: issue, gogs: issue,
        gitlab: ['$.merge_request.iid', '$.object_attributes.id'],
        bitbucket: ['$.pullrequest.id', '$.comment.id'],
    ]
    if (!known.containsKey(forge)) {
        error("mlbutlerCommands: there is no forge '${forge}'; there are ${known.keySet()}")
    }
    return known[forge]
}

boolean isNumber(Object text) {
    return text ==~ /[0-9]{1,20}/
}

/** Have mlbutler read the comment and answer it; return what is to be run, which it prints as lines of name=value. */
Map answer(Map config) {
    Map found = [:]
    try {
        deleteDir()
        List variables = ["MLBUTLER_ON_COMMENT_NUMBER=${env.NUMBER}", "MLBUTLER_ON_COMMENT_COMMENT=${env.COMMENT}"]
        if (config.folder) { variables << "MLBUTLER_CHDIR=${config.folder}" }
        String said = ''
        withEnv(variables) {
            mlbutlerAccess.inCheckout(config) {
                timeout(time: 15, unit: 'MINUTES') {
                    mlbutlerAccess.forge(config) {
                        said = sh(returnStdout: true, script: 'mlbutler on-comment --quiet')
                    }
                }
            }
        }
        for (line in said.readLines()) {
            int at = line.indexOf('=')
            if (at > 0) { found[line.substring(0, at)] = line.substring(at + 1) }
        }
    } finally {
        deleteDir()
    }
    return found
}

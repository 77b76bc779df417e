// Runs the stale stages of the DVC graph on agents of their own: what does not wait for each other runs at once, each
// on the label that its stage names in dvc.yaml (`meta: {label: gpu}`). Jenkins is the engine; artifacts go through the
// mirror and the remote, and DVC's run cache, small files, from agent to agent.

/**
 * Run `stages`, as `mlbutler plan --json` lists them; returns the names of the stashes with their run cache.
 *
 * A stage begins as soon as those before it are done, and holds no agent while it waits. When one fails, those that
 * need it do not run; the others do, and then the build fails.
 *
 * config.label: for stages that name none. config.labels: those that a stage may name; a change cannot ask for others.
 * stashes: gets the names as the stages end, so that a caller has them after a failure too. broken: gets the names of
 * the stages that failed themselves.
 */
List call(Map config, List stages, List stashes = [], List broken = []) {
    List stale = []
    for (one in stages) {
        if (one.state == 'stale' || one.state == 'restorable') {
            stale << one
        }
    }
    Map outcomes = [:] // name of a stage -> 'done' or 'failed'; one thread at a time changes it
    Map branches = [:]
    for (int i = 0; i < stale.size(); i++) {
        Map one = stale[i]
        String runs = "mlbutler-runs-${i}"
        List needed = before(one, stale)
        branches[one.name] = {
            waitUntil(initialRecurrencePeriod: 500, quiet: true) { ended(needed, outcomes) }
            if (failed(needed, outcomes)) {
                outcomes[one.name] = 'failed'
                echo('not run: a stage that it needs failed')
                return
            }
            try {
                onAgent(config, one, stashes.collect { name -> name }, runs)
                stashes << runs
                outcomes[one.name] = 'done'
            } finally {
                if (outcomes[one.name] != 'done') {
                    outcomes[one.name] = 'failed'
                    broken << one.name
                }
            }
        }
    }
    if (branches) { parallel(branches) }
    return stashes
}

/** Names of the stale stages that `one` takes something from. */
List before(Map one, List stale) {
    List names = []
    for (other in stale) {
        if (one.after.contains(other.name)) { names << other.name }
    }
    return names
}

boolean ended(List names, Map outcomes) {
    for (name in names) {
        if (!outcomes.containsKey(name)) { return false }
    }
    return true
}

boolean failed(List names, Map outcomes) {
    for (name in names) {
        if (outcomes[name] == 'failed') { return true }
    }
    return false
}

/** Bring the entries of DVC's run cache that other agents of this build made, and none that lay here before. */
void handOver(List stashes) {
    sh('rm -rf "${MLBUTLER_CHDIR:-.}/.dvc/cache/runs"')
    for (name in stashes) { unstash(name) }
}

void onAgent(Map config, Map one, List earlier, String runs) {
    // A pattern, in which a comma would part two.
    String cached = "${config.folder ? config.folder + '/' : ''}.dvc/cache/runs/**".replace(',', '?')
    String label = one.label && (config.labels ?: []).contains(one.label) ? one.label : config.label ?: 'docker'
    stage(one.name) {
        retry(count: 2, conditions: [agent(), nonresumable()]) { // the agent is lost: once more, on another
            node(label) {
                try {
                    // The name goes through the environment: text of the change is never part of a shell command.
                    mlbutlerAccess.inCheckout(config) {
                        withEnv(["MLBUTLER_DVC_STAGE=${one.name}", 'MLBUTLER_HANDED_RUNS=true']) {
                            handOver(earlier)
                            mlbutlerAccess.data(config) {
                                mlbutlerAccess.command('mlbutler sync "$MLBUTLER_DVC_STAGE"')
                            }
                            timeout(time: 5, unit: 'DAYS') {
                                mlbutlerAccess.command('mlbutler reproduce "$MLBUTLER_DVC_STAGE"')
                            }
                            mlbutlerAccess.data(config) { mlbutlerAccess.command('mlbutler push') }
                            stash(name: runs, allowEmpty: true, useDefaultExcludes: false, includes: cached)
                        }
                    }
                } finally {
                    if (mlbutlerAccess.reachable()) { mlbutlerAccess.clean() }
                }
            }
        }
    }
}

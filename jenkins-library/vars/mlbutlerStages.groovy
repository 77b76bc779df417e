// Runs the stale stages of the DVC graph on agents of their own: what does not wait for each other runs at once, each
// on the label that its stage names in dvc.yaml (`meta: {label: gpu}`). Jenkins is the engine; artifacts go through the
// mirror and the remote, and DVC's run cache, small files, from agent to agent.

/**
 * Run `stages`, as `mlbutler plan --json` lists them; returns the names of the stashes with their run cache.
 *
 * config.label: for stages that name none. config.labels: those that a stage may name; a change cannot ask for others.
 */
List call(Map config, List stages) {
    List stale = []
    for (one in stages) {
        if (one.state == 'stale' || one.state == 'restorable') {
            stale << one
        }
    }
    List stashes = []
    List done = []
    while (stale) {
        List ready = []
        List later = []
        for (one in stale) {
            if (waits(one, stale)) { later << one } else { ready << one }
        }
        Map branches = [failFast: false]
        List made = []
        for (int i = 0; i < ready.size(); i++) {
            Map one = ready[i]
            String name = "mlbutler-runs-${done.size() + i}"
            List before = stashes.collect { stash -> stash }
            branches[one.name] = { onAgent(config, one, before, name) }
            made << name
        }
        parallel(branches)
        stashes.addAll(made)
        done.addAll(ready)
        stale = later
    }
    return stashes
}

private boolean waits(Map one, List stale) {
    for (other in stale) {
        if (one.after.contains(other.name)) {
            return true
        }
    }
    return false
}

private void onAgent(Map config, Map one, List before, String runs) {
    // A pattern, in which a comma would part two.
    String cached = "${config.folder ? config.folder + '/' : ''}.dvc/cache/runs/**".replace(',', '?')
    String label = one.label && config.labels.contains(one.label) ? one.label : config.label
    stage(one.name) {
        retry(count: 2, conditions: [agent(), nonresumable()]) {
            node(label) {
                try {
                    checkout(scm)
                    // The name goes through the environment: text of the change is never part of a shell command.
                    mlbutlerAccess.inImage(config) {
                        withEnv(["MLBUTLER_DVC_STAGE=${one.name}"]) {
                            before.each { stash -> unstash(stash) }
                            mlbutlerAccess.data(config) { sh('mlbutler sync "$MLBUTLER_DVC_STAGE"') }
                            sh('mlbutler reproduce "$MLBUTLER_DVC_STAGE"')
                            mlbutlerAccess.data(config) { sh('mlbutler push') }
                            stash(name: runs, allowEmpty: true, useDefaultExcludes: false, includes: cached)
                        }
                    }
                } finally {
                    deleteDir()
                }
            }
        }
    }
}

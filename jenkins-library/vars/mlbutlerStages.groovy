// Runs the stale stages of the DVC graph on agents of their own: what does not wait for each other runs at once, each
// on the label that its stage names in dvc.yaml (`meta: {label: gpu}`). Jenkins is the engine; artifacts go through the
// mirror and the remote, and DVC's run cache, small files, from agent to agent.

/**
 * Run `stages`, as `mlbutler plan --json` lists them; returns the names of the stashes with their run cache.
 *
 * A stage begins as soon as those before it are done, and holds no agent while it waits. When one fails, those that
 * need it do not run; the others do, and then the build fails.
 *
 * Nothing polls: a stage that ends begins those that it was the last to be waited for. So what Jenkins writes of a
 * build grows with the number of stages, and not with the time that they take.
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
    // outcomes: name of a stage -> 'begun', 'done', 'failed' or 'not run'. Jenkins runs the Groovy of one branch at a
    // time, and goes to another where a step waits; so nothing else happens between two lines without a step.
    Map work = [config: config, stale: stale, outcomes: [:], stashes: stashes, broken: broken]
    List next = ready(work)
    while (next) {
        next = runAll(work, next)
    }
    if (broken) { error("stages failed: ${broken.join(', ')}") }
    return stashes
}

/** Run stages that need nothing more, and what follows while they run; returns those that can begin afterwards. */
List runAll(Map work, List due) {
    if (due.size() == 1) {
        taken(work, due[0])
        return ready(work)
    }
    Map group = [running: due.size(), next: []]
    Map branches = [:]
    for (one in due) {
        Map first = one
        branches[first.name] = { inTurn(work, group, first) }
    }
    parallel(branches)
    return group.next
}

/** Run a stage, then what it was the last to be waited for: as one of a group, whose last leaves that to the caller. */
void inTurn(Map work, Map group, Map first) {
    List next = [first]
    while (next) {
        next = runAll(work, next)
        if (group.running == 1) { // no other branch of this group runs, so that nothing needs to run beside one
            group.next = next
            next = []
        }
    }
    group.running--
}

/** Run one stage on an agent. A failure marks the build and those that need the stage; an abort ends them all. */
void taken(Map work, Map one) {
    String runs = "mlbutler-runs-${work.stale.indexOf(one)}"
    catchError(catchInterruptions: false) {
        onAgent(work.config, one, work.stashes.collect { name -> name }, runs)
        work.stashes << runs
        work.outcomes[one.name] = 'done'
    }
    if (work.outcomes[one.name] != 'done') {
        work.outcomes[one.name] = 'failed'
        work.broken << one.name
        notRun(work, one)
    }
}

/** The stages that can begin now, each of them once. */
List ready(Map work) {
    List found = []
    for (one in work.stale) {
        if (!work.outcomes.containsKey(one.name) && !waits(work, one)) {
            work.outcomes[one.name] = 'begun'
            found << one
        }
    }
    return found
}

boolean waits(Map work, Map one) {
    for (other in work.stale) {
        if (one.after.contains(other.name) && work.outcomes[other.name] != 'done') { return true }
    }
    return false
}

/** Show the stages that need the failed one as not built. */
void notRun(Map work, Map failed) {
    for (one in work.stale) {
        if (one.after.contains(failed.name) && !work.outcomes.containsKey(one.name)) {
            work.outcomes[one.name] = 'not run'
            stage(one.name) {
                catchError(stageResult: 'NOT_BUILT') { error("${one.name} is not run: it needs ${failed.name}") }
            }
            notRun(work, one)
        }
    }
}

/** Bring the entries of DVC's run cache that other agents of this build made, and none that lay here before. */
void handOver(List stashes) {
    mlbutlerAccess.command('rm -rf "${MLBUTLER_CHDIR:-.}/.dvc/cache/runs"')
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
                            // What the agent sends is read outside of any container: no link leads it elsewhere.
                            mlbutlerAccess.command('runs="${MLBUTLER_CHDIR:-.}/.dvc/cache/runs"; ' +
                                'if [ -e "$runs" ]; then find "$runs" -type l -delete; fi')
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

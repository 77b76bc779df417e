// Runs a declarative Jenkinsfile as Jenkins would, as far as mlbutler's files go: sections, stages one after the other or at
// once, post conditions, results, credentials by id with masking, a lost agent. `sh` really runs. Not covered: CPS, the sandbox.
//
// groovy jenkins.groovy PLAN: PLAN is JSON with `script`, `environment`, `credentials` (id -> variable values), `checkout` (a shell
// command that fills an empty workspace), `workspaces`, `archive`, `events` (written), `libraries` (folders of `vars`),
// `lose` (a stage at whose first `sh` the agent is lost, `loses` times), `silent` (a stage in which `silences` commands never end;
// `dies`: since the agent died, of which Jenkins learns as it looks for it again), `abort` (a stage at whose first `sh` the build is aborted, once the
// command has made the file `aborted_by`), `labels` (that there are agents for), `agents` (names of those with each label),
// `params` (of the build), `pressed` (a file: once it is there somebody presses the input, and it holds the parameter).

import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import java.util.concurrent.Callable
import java.util.concurrent.Executors
import java.util.concurrent.locks.ReentrantLock
import org.codehaus.groovy.control.CompilerConfiguration
import org.codehaus.groovy.runtime.InvokerHelper

class CurrentBuild {
    String getResult() { Build.result }
    String getCurrentResult() { Build.result }
    void setResult(String to) { Build.worsen(to) }
    void setDescription(String text) { Build.event(step: 'description', text: text) }
}

class Abort extends RuntimeException { Abort(String text) { super(text) } }
class AgentLost extends Abort { AgentLost(String text) { super(text) } }
/** FlowInterruptedException: the build was aborted, or a limit of time ended a step. */
class Interruption extends Abort {
    Object limit
    /** As Jenkins has it: what a limit ended is no interruption outside of that limit. */
    boolean actual = true
    Interruption(Object limit = null) {
        super(limit ? 'Timeout has been exceeded' : 'aborted')
        this.limit = limit
    }
}

/** What a thread of the build knows: where it works, with which variables. */
class Frame {
    File workspace
    Map<String, String> variables = [:]
    List<String> secrets = []
    List<String> bound = []
    List<String> path = []
    String label
    /** The limit on silence that is around. */
    Object silence
    /** Of the `parallel` around: whether a branch has failed. */
    Map race
    Frame copy() {
        new Frame(workspace: workspace, variables: new LinkedHashMap(variables), secrets: new ArrayList(secrets),
            bound: new ArrayList(bound), path: new ArrayList(path), label: label, silence: silence, race: race)
    }
}

class Build {
    static Map plan
    static List events
    static String result
    static int workspaces
    static List<File> lost
    static Map<String, Integer> vanished
    static int silenced
    static boolean aborted
    static InheritableThreadLocal<Frame> frames
    /** Jenkins runs the Groovy of one branch at a time, and goes to another where a step waits. */
    static ReentrantLock turn

    /** Know nothing of a build before. */
    static void begin(Map given) {
        plan = given
        events = [].asSynchronized()
        result = 'SUCCESS'
        workspaces = 0
        lost = [].asSynchronized()
        vanished = [:]
        silenced = 0
        aborted = false
        frames = new InheritableThreadLocal<Frame>()
        frames.set(new Frame())
        turn = new ReentrantLock(true)
        turn.lock()
        Main.variables.clear()
    }

    static waiting(Closure body) {
        turn.unlock()
        try { return body() } finally { turn.lock() }
    }

    /** Run branches at once; returns what each ended with, null where it passed. */
    static List<Throwable> atOnce(Collection<Closure> branches) {
        Frame frame = frame()
        def pool = Executors.newFixedThreadPool(Math.max(branches.size(), 1))
        try {
            waiting {
                pool.invokeAll(branches.collect { branch -> ({
                    turn.lock()
                    frames.set(frame.copy())
                    try { branch(); return null } catch (Throwable error) { return error } finally { turn.unlock() }
                } as Callable) })*.get()
            } as List<Throwable>
        } finally { pool.shutdown() }
    }

    static Frame frame() { frames.get() }
    static void event(Map event) { events << ([path: frame()?.path?.join('/')] + event) }

    static synchronized void worsen(String to) {
        List order = ['SUCCESS', 'UNSTABLE', 'FAILURE', 'NOT_BUILT', 'ABORTED']
        if (order.indexOf(to) > order.indexOf(result)) { result = to }
    }

    static synchronized File allocate(String label) {
        if (label && plan.labels && !(label in plan.labels)) { throw new Abort("there is no agent for the label ${label}") }
        File workspace = new File(plan.workspaces as String, "workspace-${++workspaces}")
        workspace.mkdirs()
        workspace
    }

    /** The agent that a build gets: the first of the label, and none that the expression excludes. */
    static String agentOf(String label) {
        if (!plan.agents) { return "agent-${workspaces}" }
        def parts = (label =~ /\((.+)\) && !"(.+)"/)
        String name = parts.matches() ? parts[0][1] : label
        List there = ((plan.agents as Map)[name] ?: []) as List
        if (parts.matches()) { there = there - parts[0][2] }
        if (there.isEmpty()) { throw new Interruption(frame().silence) } // it waits until the limit ends that
        there[0]
    }

    static within(Closure change, Closure body) {
        Frame before = frame()
        Frame now = before.copy()
        change(now)
        frames.set(now)
        try { return body() } finally { frames.set(before) }
    }

    static String masked(String text) {
        (frame().secrets as Set).findAll { it }.inject(text) { String shown, String secret -> shown.replace(secret, '****') }
    }

    /** The agent comes back and the process of this command is gone: as many commands of a stage as the plan says. */
    static synchronized boolean vanishes(Frame frame) {
        String stage = (plan.vanish as List<String>).find { it in frame.path && vanished.get(it, 0) < plan.times }
        if (stage == null) { return false }
        vanished[stage]++
        true
    }

    /** A command that never ends, and writes nothing: the limit on that ends it. */
    static void silence(Frame frame) {
        if (!plan.silent || !(plan.silent in frame.path) || silenced >= plan.silences) { return }
        silenced++
        if (plan.dies) { lost << frame.workspace }
        event(step: 'silence', bound: frame.bound, workspace: frame.workspace.name)
        if (!frame.silence) { throw new IllegalStateException('the build waits forever') }
        throw new Interruption(frame.silence)
    }

    /** Every step that needs an agent fails on one that is lost. */
    static void reach() {
        if (frame().workspace in lost) { throw new AgentLost('the agent is lost') }
    }

    /** As Jenkins does it: every process of the command gets SIGTERM, children first. */
    static void abort(Process process) {
        aborted = true
        Thread.start {
            while (process.alive && !new File(plan.aborted_by as String).exists()) { sleep(50) }
            List all = process.descendants().collect { it }.reverse() + process.toHandle()
            all.each { it.destroy() }
        }
    }

    static int shell(String script) {
        Frame frame = frame()
        if (frame.workspace == null) { throw new Abort('sh outside of an agent') }
        boolean loses = plan.lose in frame.path && !(frame.workspace in lost) && lost.size() < plan.loses
        if (plan.lose && loses) { lost << frame.workspace }
        reach()
        if (vanishes(frame)) { return -1 }
        if (script != plan.checkout) { silence(frame) }
        ProcessBuilder builder = new ProcessBuilder('/bin/sh', '-xe', '-c', script)
        frame.workspace.mkdirs() // after `deleteDir`
        builder.directory(frame.workspace).redirectErrorStream(true)
        builder.environment().clear()
        builder.environment().putAll((plan.environment as Map<String, String>) + frame.variables + [WORKSPACE: frame.workspace.path])
        Process process = builder.start()
        process.outputStream.close()
        boolean stops = plan.abort && !aborted && plan.abort in frame.path
        if (stops) { abort(process) }
        int code = waiting {
            process.inputStream.eachLine('UTF-8') { println(masked("[${frame.path.join('/')}] ${it}")) }
            return process.waitFor()
        } as int
        event(step: 'sh', script: script, code: code, bound: frame.bound, workspace: frame.workspace.name, label: frame.label,
            silence: frame.silence != null)
        // As Jenkins: what ends with 0 all the same has passed.
        if (stops && plan.abort_passes) { return 0 }
        if (stops) { throw new Interruption() }
        code
    }
}

class Env {
    def getProperty(String name) {
        Build.frame()?.variables?.get(name) ?: (Build.plan.environment as Map).get(name)
    }
    /** Of the whole build; a `withEnv` around outweighs it. */
    void setProperty(String name, Object value) { (Build.plan.environment as Map)[name] = value as String }
}

/** `environment { NAME = value }`. */
class Variables {
    Map<String, String> values = [:]
    void setProperty(String name, Object value) { values[name] = value.toString() }
    def getProperty(String name) { name == 'values' ? this.@values : name == 'env' ? new Env() : this.@values[name] }
}

/** The body of `agent { ... }`: remembers what was asked for. */
class Agent {
    Map asked = [:]
    def propertyMissing(String name) {
        if (name == 'env') { return new Env() }
        throw new MissingPropertyException(name, Agent)
    }
    def methodMissing(String name, Object args) {
        def value = (args as List)[0]
        if (value instanceof Closure) {
            Agent inner = new Agent()
            value.delegate = inner
            value.resolveStrategy = Closure.DELEGATE_ONLY
            value()
            asked[name] = inner.asked
        } else { asked[name] = value }
    }
}

class Options {
    int attempts = 1
    List<String> names = []
    List<String> conditions = []
    def methodMissing(String name, Object args) {
        names << name
        Map given = (args as List).find { it instanceof Map } ?: [:]
        if (name == 'retry') { attempts = given.count as int; conditions = given.conditions*.toString() }
        name
    }
    def propertyMissing(String name) { name == 'env' ? new Env() : name }
}

class Post {
    Map<String, Closure> conditions = [:]
    def methodMissing(String name, Object args) {
        if (!(name in ['always', 'changed', 'fixed', 'regression', 'aborted', 'failure', 'success', 'unstable',
                       'unsuccessful', 'cleanup'])) { throw new Abort("there is no post condition ${name}") }
        conditions[name] = (args as List)[0] as Closure
    }
    void run(Throwable failed) {
        List wanted = ['always', Build.result == 'ABORTED' ? 'aborted' : failed || Build.result == 'FAILURE' ? 'failure' : Build.result == 'UNSTABLE' ? 'unstable' : 'success']
        if (wanted[1] != 'success') { wanted << 'unsuccessful' }
        Throwable first = null
        (wanted + 'cleanup').findAll { conditions[it] }.each { name ->
            try { Build.within({ it.path << "post ${name}".toString() }) { conditions[name]() } }
            catch (Throwable error) {
                Build.worsen('FAILURE')
                println("post ${name}: ${error.message}")
                first = first ?: error
            }
        }
        if (first && !failed) { throw first }
    }
}

/** A stage, or the pipeline itself. */
class Stage {
    String name
    def agentKind
    Map agent
    List<Closure> environments = []
    Options options = new Options()
    Post post = new Post()
    List<Stage> children = []
    boolean atOnce
    Closure steps
    Closure condition

    def propertyMissing(String name) { name in ['any', 'none'] ? name : Build.plan.environment[name] }
    private void into(Closure body, Object delegate) {
        body.delegate = delegate
        body.resolveStrategy = Closure.DELEGATE_FIRST
        body()
    }
    void agent(Object kind) {
        if (kind instanceof Closure) {
            Agent found = new Agent()
            into(kind, found)
            agent = found.asked
        }
        agentKind = kind instanceof Closure ? 'given' : kind
    }
    void environment(Closure body) { environments << body }

    /** Its variables, which may name the workspace: Jenkins asks when the stage has its agent. */
    private Map<String, String> variables() {
        Variables found = new Variables()
        environments.each { body ->
            body.delegate = found
            body.resolveStrategy = Closure.DELEGATE_FIRST
            body()
        }
        found.values
    }
    void options(Closure body) { into(body, options) }
    void post(Closure body) { into(body, post) }
    void when(Closure body) { condition = body }
    void stages(Closure body) { into(body, this) }
    void parallel(Closure body) { atOnce = true; into(body, this) }
    void failFast(boolean value) {}
    void steps(Closure body) { steps = body }
    void stage(String title, Closure body) {
        Stage child = new Stage(name: title)
        child.into(body, child)
        if ([child.steps != null, !child.children.isEmpty()].count(true) != 1) {
            throw new Abort("the stage ${title} needs steps, stages or parallel, and one of them alone")
        }
        children << child
    }

    void run() {
        int left = options.attempts
        while (true) {
            try { once(); return }
            catch (AgentLost gone) {
                if (--left <= 0 || !options.conditions.any { it.contains('agent') || it.contains('Agent') }) { throw gone }
                println('the agent is lost: once more')
            }
        }
    }

    private void once() {
        Build.within({ Frame frame ->
            if (name) { frame.path << name }
            if (agentKind && agentKind != 'none') {
                frame.label = agent?.label ?: agent?.dockerfile?.label
                frame.workspace = Build.allocate(frame.label)
                frame.variables.WORKSPACE = frame.workspace.path
            }
        }) {
            Build.frame().variables.putAll(variables())
            Build.event(step: 'stage', agent: agent ?: agentKind, options: options.names)
            Throwable failed = null
            try {
                if (agentKind && agentKind != 'none' && Build.shell(Build.plan.checkout as String) != 0) {
                    throw new Abort('the checkout failed')
                }
                if (steps != null) { steps.call() } else { branches() }
            } catch (AgentLost gone) { failed = gone } // `post` runs all the same, before the stage is tried again
            catch (Throwable error) {
                failed = error
                Build.worsen(error instanceof Interruption ? 'ABORTED' : 'FAILURE')
                println("stage ${name ?: 'pipeline'}: ${error.message}")
            }
            post.run(failed)
            if (failed) { throw failed }
        }
    }

    private void branches() {
        if (!atOnce) { children.each { it.run() }; return }
        Throwable first = Build.atOnce(children.collect { child -> ({ child.run() }) }).find { it }
        if (first) { throw first }
    }
}

/** As Jenkins' Util.createFileSet has it: Ant's patterns, parted by commas alone. */
class Patterns {
    static List matching(File workspace, String patterns, boolean followSymlinks = true) {
        def scanner = new AntBuilder().fileScanner {
            fileset(dir: workspace, defaultexcludes: 'no', followsymlinks: followSymlinks) { patterns.split(',').each { one -> include(name: one.trim()) } }
        }
        scanner.collect { it.path }
    }
}

abstract class PipelineScript extends Script {
    def getEnv() { new Env() }
    def getScm() { [userRemoteConfigs: [[url: 'https://git.example.org/project.git', credentialsId: 'mlbutler-git']]] }
    def getParams() { Build.plan.params ?: [:] }
    def getCurrentBuild() { new CurrentBuild() }

    def pipeline(Closure body) {
        Stage whole = new Stage()
        body.delegate = whole
        body.resolveStrategy = Closure.DELEGATE_FIRST
        body()
        if (whole.agentKind == null) { throw new Abort('Missing required section "agent"') }
        if (whole.children.isEmpty()) { throw new Abort('Missing required section "stages"') }
        whole.run()
    }

    // ------------------------------------------------------------------------------------ steps

    def sh(Object given) {
        String script = given instanceof Map ? given.script : given
        if (given instanceof Map && given.returnStdout) { return stdout(script) }
        int code = Build.shell(script)
        if (given instanceof Map && given.returnStatus) { return code }
        if (code != 0) { throw new Abort("script returned exit code ${code}") }
    }

    String stdout(String script) {
        File out = File.createTempFile('stdout', '')
        int code = Build.shell("{ ${script}\n} > '${out.path}'")
        if (code != 0) { throw new Abort("script returned exit code ${code}") }
        out.text
    }

    def echo(Object text) { println(Build.masked(text as String)) }
    def error(Object text) { throw new Abort(text as String) }
    def unstable(Object text) { Build.worsen('UNSTABLE'); println("unstable: ${text}") }
    def script(Closure body) { body() }
    def timeout(Map limit, Closure body) {
        assert limit.time && limit.unit in ['MINUTES', 'HOURS', 'DAYS']
        Object own = new Object()
        try { return Build.within({ if (limit.activity) { it.silence = own } }, body) } catch (Interruption error) {
            if (error.limit.is(own)) { error.actual = false }
            throw error
        }
    }
    def retry(int count, Closure body) {
        int left = count
        while (true) {
            try { return body() } catch (Abort error) {
                if (--left <= 0 || (error instanceof Interruption && error.actual)) { throw error }
                println("ERROR: ${error.message}\nRetrying")
            }
        }
    }
    def retry(Map given, Closure body) {
        int left = given.count as int
        while (true) {
            try { return body() } catch (AgentLost gone) { if (--left <= 0) { throw gone } }
        }
    }
    def catchError(Closure body) { catchError([:], body) }
    def catchError(Map given, Closure body) {
        try { body() } catch (Exception error) {
            if (error instanceof Interruption && error.actual && given.catchInterruptions == false) { throw error }
            Build.worsen(error instanceof Interruption ? 'ABORTED' : given.buildResult ?: 'FAILURE')
            println("ERROR: ${given.message ?: ''} ${error.message}")
        }
    }
    def withEnv(List<String> pairs, Closure body) {
        Build.within({ Frame frame -> pairs.each { frame.variables[it.tokenize('=')[0]] = it.substring(it.indexOf('=') + 1) } }, body)
    }
    def dir(String path, Closure body) {
        Build.within({ Frame frame -> frame.workspace = new File(frame.workspace, path) }, body)
    }
    def node(String label, Closure body) {
        Build.within({ Frame frame ->
            String agent = Build.agentOf(label)
            frame.label = label
            frame.workspace = Build.allocate(Build.plan.agents ? null : label)
            frame.variables.NODE_NAME = agent
        }, body)
    }
    def stage(String name, Closure body) {
        Build.within({ Frame frame -> frame.path << name }) {
            Build.event(step: 'stage', agent: null, options: [])
            body()
        }
    }
    def parallel(Map branches) {
        Map work = branches.findAll { it.value instanceof Closure }
        Map race = [failed: false]
        List<Throwable> failures = Build.atOnce(work.collect { title, body -> ({
            Build.frame().path << (title as String)
            Build.frame().race = race
            try { body() } catch (Throwable error) {
                println("branch ${title}: ${error.message}")
                race.failed = race.failed || branches.failFast || error instanceof Interruption
                throw error
            }
        }) }).findAll { it }
        // As Jenkins: an abort weighs less than a failure.
        Throwable first = failures.find { !(it instanceof Interruption) } ?: failures[0]
        if (first) { throw first }
    }
    def input(Map given) {
        Build.event(step: 'input', id: given.id)
        Frame frame = Build.frame()
        File pressed = new File((Build.plan.pressed ?: '/nowhere') as String)
        Build.waiting { while (!frame.race?.failed && !pressed.exists() && !Build.aborted) { sleep(20) } }
        if (!pressed.exists()) { throw new Interruption() }
        pressed.text
    }
    def build(Map given) {
        Build.event(step: 'build', job: given.job, wait: given.wait, parameters: given.parameters.collectEntries { [it[0].name, it[0].value] })
    }
    def parameters(List given) { "parameters ${given*.getAt(0)*.name}".toString() }
    def checkout(Object what) {
        if (Build.shell(Build.plan.checkout as String) != 0) { throw new Abort('the checkout failed') }
        return [GIT_URL: Build.plan.environment?.GIT_URL]
    }
    def agent() { 'agent()' }
    def nonresumable() { 'nonresumable()' }
    def properties(List given) { Build.event(step: 'properties', given: given*.toString()) }
    def pipelineTriggers(List given) { "triggers ${given}".toString() }
    def GenericTrigger(Map given) { "webhook ${given.genericVariables*.key}".toString() }
    def buildDiscarder(Object given) { 'buildDiscarder' }
    def logRotator(Map given) { given }
    def disableConcurrentBuilds(Map given) { "disableConcurrentBuilds ${given}".toString() }
    def stash(Map given) {
        File workspace = Build.frame().workspace
        File store = new File("${Build.plan.workspaces}/../stashes/${given.name}")
        List names = Patterns.matching(workspace, given.includes as String)
        if (names.isEmpty() && !given.allowEmpty) { throw new Abort("No files included in stash '${given.name}'") }
        store.mkdirs()
        names.each { copied(new File(it), workspace, store) }
        Build.event(step: 'stash', name: given.name, files: names.size())
    }
    def unstash(Object name) {
        File store = new File("${Build.plan.workspaces}/../stashes/${name}")
        if (!store.isDirectory()) { throw new Abort("No such saved stash '${name}'") }
        store.eachFileRecurse(groovy.io.FileType.FILES) { copied(it, store, Build.frame().workspace) }
    }
    def copied(File file, File top, File target) {
        File copy = new File(target, top.toPath().relativize(file.toPath()).toString())
        copy.parentFile.mkdirs()
        copy.bytes = file.bytes
    }
    def getDocker() {
        [build: { String tag, String words ->
            Build.event(step: 'docker build', tag: tag, words: words)
            [inside: { String options, Closure body -> Build.event(step: 'docker inside', words: options); body() }]
        }]
    }
    def readJSON(Map given) { new JsonSlurper().parseText(given.text as String) }
    def fileExists(String path) { new File(Build.frame().workspace, path).exists() }
    def readFile(String path) { new File(Build.frame().workspace, path).text }
    def readTrusted(String path) {
        Build.event(step: 'readTrusted', file: path)
        if (path in (Build.plan.untrusted ?: [])) { throw new Abort("‘${path}’ has been modified in an untrusted revision") }
        def show = ['git', '-C', Build.plan.trusted as String, 'show', "HEAD:${path}".toString()].execute()
        String text = show.text
        if (show.waitFor() != 0) { throw new Abort("${path} not found") }
        text
    }
    def deleteDir() { Build.reach(); if (Build.plan.foreign) { throw new Abort('Unable to delete: rootsh') }; Build.frame().workspace.deleteDir(); Build.event(step: 'deleteDir') }
    def junit(Map given) { kept('junit', given.testResults as String, given.allowEmptyResults as boolean) }
    def recordIssues(Map given) { Build.reach(); Build.event(step: 'recordIssues') }
    def flake8() { 'flake8' }
    def pyLint() { 'pyLint' }
    def myPy() { 'myPy' }
    def archiveArtifacts(Map given) {
        boolean follow = given.followSymlinks == null || given.followSymlinks
        copies('archive', Patterns.matching(Build.frame().workspace, given.artifacts as String, follow), given.allowEmptyArchive as boolean)
    }
    def publishHTML(Object given) {
        Map one = given instanceof List ? given[0] : given
        File folder = new File(Build.frame().workspace, one.reportDir as String) // a path, no pattern
        copies('html', folder.exists() ? Patterns.matching(folder, (one.includes ?: '**/*') as String) : [], one.allowMissing as boolean)
    }

    def kept(String where, String patterns, boolean mayBeEmpty) {
        copies(where, Patterns.matching(Build.frame().workspace, patterns), mayBeEmpty)
    }
    def copies(String where, List names, boolean mayBeEmpty) {
        Build.reach()
        File workspace = Build.frame().workspace
        if (names.isEmpty() && !mayBeEmpty) { throw new Abort("${where}: nothing matches") }
        names.each {
            File target = new File("${Build.plan.archive}/${where}", workspace.toPath().relativize(new File(it).toPath()).toString())
            target.parentFile.mkdirs()
            target.bytes = new File(it).bytes
        }
        Build.event(step: where, files: names.size())
    }

    // ------------------------------------------------------------------------------ credentials

    def usernamePassword(Map given) { [given, 'username', given.usernameVariable, 'password', given.passwordVariable] }
    def gitUsernamePassword(Map given) { [given, 'username', 'GIT_USERNAME', 'password', 'GIT_PASSWORD'] }
    def string(Map given) { [given, 'secret', given.variable] }
    def file(Map given) { [given, 'path', given.variable] }
    def sshUserPrivateKey(Map given) { [given, 'path', given.keyFileVariable, 'username', given.usernameVariable] }

    def withCredentials(List bindings, Closure body) {
        Build.within({ Frame frame ->
            bindings.each { binding ->
                String id = binding[0].credentialsId
                Map known = (Build.plan.credentials as Map)[id] as Map
                if (known == null) { throw new Abort("Could not find credentials entry with ID '${id}'") }
                frame.bound << id
                binding.drop(1).collate(2).each { pair ->
                    if (pair[1]) { frame.variables[pair[1] as String] = known[pair[0]] as String }
                    if (pair[0] in ['password', 'secret']) { frame.secrets << (known[pair[0]] as String) }
                }
            }
        }, body)
    }

    // ---------------------------------------------------------------------------- shared library

    def library(Object name) {}
    def methodMissing(String name, Object args) {
        def found = Main.variable(name)
        if (found == null) { throw new Abort("No such DSL method '${name}' found among steps") }
        found.invokeMethod('call', args)
    }
    def propertyMissing(String name) {
        def found = Main.variable(name)
        if (found == null) { throw new MissingPropertyException(name, PipelineScript) }
        found
    }
}

class Main {
    static final Map<String, Script> variables = [:]
    /** Name and text of a script -> its class: the same text is compiled once, whatever the number of builds. */
    static final Map<List<String>, Class> classes = [:]
    /** A global variable of the shared libraries, one for the whole build; null when there is none of that name. */
    static synchronized Script variable(String name) {
        if (!(name in variables.keySet())) {
            File source = (Build.plan.libraries ?: []).collect { new File("${it}/vars/${name}.groovy") }.find { it.isFile() }
            variables[name] = source ? load(source, new Binding()) : null
        }
        variables[name]
    }
    static Script load(File source, Binding binding) {
        List<String> key = [source.name, source.getText('UTF-8')]
        if (!classes.containsKey(key)) {
            CompilerConfiguration configuration = new CompilerConfiguration(scriptBaseClass: 'PipelineScript')
            classes[key] = new GroovyClassLoader(Main.classLoader, configuration).parseClass(key[1], key[0])
        }
        InvokerHelper.createScript(classes[key], binding)
    }
}

Build.begin(new JsonSlurper().parse(new File(args[0])) as Map)
try { Main.load(new File(Build.plan.script as String), new Binding()).run() }
catch (Abort error) {
    Build.worsen(error instanceof Interruption ? 'ABORTED' : 'FAILURE')
    println("build: ${error.message}")
}
new File(Build.plan.events as String).text = JsonOutput.toJson([result: Build.result, events: Build.events])
println("Finished: ${Build.result}")

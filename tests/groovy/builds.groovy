/**
 * Runs builds, one after the other; what a build knows, jenkins.groovy makes for each, and the classes stay.
 * Its argument is that file. It reads lines of a plan's path, a tab and the log's path, and writes a line after each.
 */
import org.codehaus.groovy.runtime.InvokerHelper

Class jenkins = new GroovyClassLoader(this.class.classLoader).parseClass(new File(args[0]))
PrintStream own = System.out
System.in.eachLine('UTF-8') { String line ->
    String[] paths = line.split('\t')
    PrintStream log = new PrintStream(new FileOutputStream(paths[1]), true, 'UTF-8')
    System.setOut(log)
    System.setErr(log)
    try {
        InvokerHelper.createScript(jenkins, new Binding([paths[0]] as String[])).run()
    } catch (Throwable error) { error.printStackTrace(log) }
    log.close()
    own.println('done')
    own.flush()
}
System.exit(0)

/**
 * Runs builds, one after the other, each as if it were the only one: all classes of jenkins.groovy are loaded anew.
 * Its argument is that file. It reads lines of a plan's path, a tab and the log's path, and writes a line after each.
 */
import org.codehaus.groovy.control.CompilationUnit
import org.codehaus.groovy.control.Phases
import org.codehaus.groovy.runtime.InvokerHelper

class Loader extends GroovyClassLoader {
    private final Map<String, byte[]> compiled
    Loader(Map<String, byte[]> compiled) { this.compiled = compiled }
    @Override
    protected Class<?> findClass(String name) {
        byte[] code = compiled[name]
        if (code == null) { throw new ClassNotFoundException(name) }
        defineClass(name, code)
    }
}

CompilationUnit unit = new CompilationUnit()
unit.addSource(new File(args[0]))
unit.compile(Phases.CLASS_GENERATION)
Map<String, byte[]> compiled = unit.classes.collectEntries { [it.name, it.bytes] }
PrintStream own = System.out
System.in.eachLine('UTF-8') { String line ->
    String[] paths = line.split('\t')
    PrintStream log = new PrintStream(new FileOutputStream(paths[1]), true, 'UTF-8')
    System.setOut(log)
    System.setErr(log)
    try {
        Binding binding = new Binding([paths[0]] as String[])
        InvokerHelper.createScript(new Loader(compiled).loadClass('jenkins'), binding).run()
    } catch (Throwable error) { error.printStackTrace(log) }
    log.close()
    own.println('done')
    own.flush()
}
System.exit(0)

/**
 * Runs builds, one after the other, each as if it were the only one: all classes of jenkins.groovy are made anew.
 * Its argument is that file. It reads lines of a plan's path, a tab and the log's path, and writes a line after each.
 */
String source = new File(args[0]).getText('UTF-8')
PrintStream own = System.out
System.in.eachLine('UTF-8') { String line ->
    String[] paths = line.split('\t')
    PrintStream log = new PrintStream(new FileOutputStream(paths[1]), true, 'UTF-8')
    System.setOut(log)
    System.setErr(log)
    try { new GroovyShell(new GroovyClassLoader()).run(source, 'jenkins.groovy', [paths[0]] as String[]) }
    catch (Throwable error) { error.printStackTrace(log) }
    log.close()
    own.println('done')
    own.flush()
}
System.exit(0)

package plateau.examples;

import java.time.Duration;
import java.util.Iterator;
import java.util.List;

/** The command line, read once. */
record Options(String bootstrap, String group, long max, Duration idle, String config) {
  static final String HELP =
      """
      Adds up how well each draft version is accepted, from public.plateau.acceptance.v1.

        java -jar target/acceptance-by-version.jar --bootstrap HOST:PORT [options]

        --bootstrap HOST:PORT   any broker of the cluster
        --group GROUP           consumer group (default examples.acceptance-by-version.v1)
        --max N                 stop after N records that count (default: go on for ever)
        --idle SECONDS          stop when nothing came for so long
        --config FILE           Kafka client properties, for TLS and SASL
        --help                  this text

      When it stops, by itself or by Ctrl-C, it prints one line of JSON for each draft version: the sums of what this run
      read. The group goes on where its last run stopped.
      """;

  static final class Mistake extends Exception {
    Mistake(String message) {
      super(message);
    }
  }

  static Options parse(String[] args) throws Mistake {
    String bootstrap = null;
    String group = "examples.acceptance-by-version.v1";
    long max = Long.MAX_VALUE;
    Duration idle = null;
    String config = null;
    Iterator<String> rest = List.of(args).iterator();
    while (rest.hasNext()) {
      String name = rest.next();
      switch (name) {
        case "--bootstrap" -> bootstrap = valueOf(name, rest);
        case "--group" -> group = valueOf(name, rest);
        case "--max" -> max = number(name, rest);
        case "--idle" -> idle = Duration.ofSeconds(number(name, rest));
        case "--config" -> config = valueOf(name, rest);
        default -> throw new Mistake("unknown option " + name);
      }
    }
    if (bootstrap == null) throw new Mistake("--bootstrap HOST:PORT is missing");
    return new Options(bootstrap, group, max, idle, config);
  }

  private static String valueOf(String name, Iterator<String> rest) throws Mistake {
    if (!rest.hasNext()) throw new Mistake(name + " needs a value");
    return rest.next();
  }

  private static long number(String name, Iterator<String> rest) throws Mistake {
    String text = valueOf(name, rest);
    try {
      long number = Long.parseLong(text);
      if (number > 0) return number;
    } catch (NumberFormatException ignored) {
      // Said below.
    }
    throw new Mistake(name + " needs a whole number above 0, not " + text);
  }
}

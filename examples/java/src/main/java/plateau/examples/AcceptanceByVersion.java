package plateau.examples;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.AuthenticationException;
import org.apache.kafka.common.errors.GroupAuthorizationException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import plateau.stream.v1.Acceptance;

/** Adds up how well each draft version is accepted: docs/topics/acceptance.md is all it knows. */
public final class AcceptanceByVersion {
  private static final String TOPIC = "public.plateau.acceptance.v1";
  private static final Duration PATIENCE = Duration.ofSeconds(10);

  private final Options options;
  private final Totals totals = new Totals();
  private long counted;
  private long duplicates;
  private long unusable;

  private AcceptanceByVersion(Options options) {
    this.options = options;
  }

  public static void main(String[] args) {
    if (List.of(args).contains("--help")) {
      System.out.print(Options.HELP);
      return;
    }
    try {
      new AcceptanceByVersion(Options.parse(args)).run();
    } catch (Options.Mistake e) {
      System.err.println("error: " + e.getMessage() + "\n\n" + Options.HELP);
      System.exit(2);
    } catch (KafkaException | IOException | IllegalStateException e) {
      System.err.println("error: " + advice(e));
      System.exit(1);
    }
  }

  private void run() throws IOException {
    CountDownLatch done = new CountDownLatch(1);
    try {
      try (KafkaConsumer<String, byte[]> consumer = new KafkaConsumer<>(properties())) {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(consumer, done)));
        requireTopic(consumer);
        consumer.subscribe(List.of(TOPIC));
        consume(consumer);
      } catch (WakeupException e) {
        // Ctrl-C: say what there is.
      }
      totals.print();
      System.err.printf("%d records, %d duplicates, %d unusable%n", counted, duplicates, unusable);
    } finally {
      done.countDown();
    }
  }

  private void consume(KafkaConsumer<String, byte[]> consumer) {
    Instant heard = Instant.now();
    while (counted < options.max()) {
      for (ConsumerRecord<String, byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
        heard = Instant.now();
        take(record);
        // After its effect. These sums live as long as the program; one that keeps them would store them, then commit.
        commit(consumer, record);
        if (counted == options.max()) return;
      }
      if (options.idle() != null && heard.plus(options.idle()).isBefore(Instant.now())) return;
    }
  }

  private void take(ConsumerRecord<String, byte[]> record) {
    String id = AcceptanceRecord.eventId(record);
    if (totals.hasSeen(id)) {
      duplicates++;
      return;
    }
    try {
      Acceptance acceptance = AcceptanceRecord.decode(record);
      totals.add(id, acceptance);
      counted++;
    } catch (AcceptanceRecord.Unusable e) {
      // Not a reason to stop: keep it for whoever asks, and go on.
      System.err.printf(
          "unusable record in %s[%d] at %d: %s%n", record.topic(), record.partition(), record.offset(), e.getMessage());
      unusable++;
    }
  }

  private static void commit(KafkaConsumer<String, byte[]> consumer, ConsumerRecord<String, byte[]> record) {
    TopicPartition partition = new TopicPartition(record.topic(), record.partition());
    consumer.commitSync(Map.of(partition, new OffsetAndMetadata(record.offset() + 1)));
  }

  private static void requireTopic(KafkaConsumer<String, byte[]> consumer) {
    if (consumer.partitionsFor(TOPIC, PATIENCE).isEmpty()) {
      throw new IllegalStateException("this cluster has no topic " + TOPIC);
    }
  }

  private Properties properties() throws IOException {
    Properties properties = new Properties();
    if (options.config() != null) {
      try (var file = Files.newBufferedReader(Path.of(options.config()))) {
        properties.load(file);
      }
    }
    properties.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, options.bootstrap());
    properties.put(ConsumerConfig.GROUP_ID_CONFIG, options.group());
    properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    properties.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
    properties.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, false);
    properties.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class);
    properties.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class);
    return properties;
  }

  private static void stop(KafkaConsumer<?, ?> consumer, CountDownLatch done) {
    if (done.getCount() == 0) return;
    consumer.wakeup();
    try {
      done.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static String advice(Exception e) {
    if (e instanceof TimeoutException) return "no broker answered: check --bootstrap, and TLS settings in --config";
    if (e instanceof AuthenticationException) return "the cluster refused your name or password: " + e.getMessage();
    if (e instanceof TopicAuthorizationException) return "you may not read " + TOPIC + ": ask for READ and DESCRIBE on it";
    if (e instanceof GroupAuthorizationException) return "you may not use this group: ask for READ on it, or choose another --group";
    return e.getCause() == null ? String.valueOf(e.getMessage()) : e.getMessage() + ": " + e.getCause().getMessage();
  }
}

package plateau.examples;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;
import plateau.stream.v1.Acceptance;

/** Reads a record as docs/topics says that it is written. */
final class AcceptanceRecord {
  private static final String MESSAGE = "plateau.stream.v1.Acceptance";
  private static final int SCHEMA_VERSION = 1;

  /** A record that breaks the contract, or that this program is too old for. */
  static final class Unusable extends Exception {
    Unusable(String message) {
      super(message);
    }
  }

  private AcceptanceRecord() {}

  static String eventId(ConsumerRecord<?, byte[]> record) {
    return header(record, "ce_id");
  }

  static Acceptance decode(ConsumerRecord<?, byte[]> record) throws Unusable {
    if (eventId(record).isEmpty()) throw new Unusable("it has no ce_id");
    String message = header(record, "x-proto-message");
    if (!message.equals(MESSAGE)) throw new Unusable("its message is " + message + ", not " + MESSAGE);
    if (record.value() == null) throw new Unusable("it has no value");
    try {
      CodedInputStream value = CodedInputStream.newInstance(record.value());
      if (record.value().length > 0 && record.value()[0] == 0) skipConfluentFrame(value);
      Acceptance acceptance = Acceptance.parseFrom(value);
      if (acceptance.getSchemaVersion() <= SCHEMA_VERSION) return acceptance;
      throw new Unusable("its schema version is " + acceptance.getSchemaVersion());
    } catch (InvalidProtocolBufferException e) {
      throw new Unusable("it does not decode: " + e.getMessage());
    } catch (IOException e) {
      throw new Unusable("it ends too early");
    }
  }

  /** 0x00, the schema's id (4 bytes), the message's place in its file. A bare message never begins with 0x00. */
  private static void skipConfluentFrame(CodedInputStream value) throws IOException {
    value.skipRawBytes(5);
    for (int indices = value.readSInt32(); indices > 0; indices--) value.readSInt32();
  }

  private static String header(ConsumerRecord<?, byte[]> record, String name) {
    Header header = record.headers().lastHeader(name);
    return header == null || header.value() == null ? "" : new String(header.value(), StandardCharsets.UTF_8);
  }
}

import type { MetricTable } from './declarations.js'

/** Of every service, or of several. */
export const commonMetrics = {
  plateau_build_info: {
    kind: 'gauge',
    unit: '1',
    help: '1; which version of the code this process is.',
    labels: { version: 'version of the packages' },
  },
  plateau_process_resident_memory_bytes: {
    kind: 'gauge',
    unit: 'By',
    help: 'Resident memory of the process.',
  },
  plateau_process_heap_used_bytes: {
    kind: 'gauge',
    unit: 'By',
    help: 'JavaScript objects of the process, garbage included.',
  },
  plateau_process_cpu_seconds: {
    kind: 'gauge',
    unit: 's',
    help: 'User and system processor time since the start.',
  },
  plateau_event_loop_delay_p99_seconds: {
    kind: 'gauge',
    unit: 's',
    help: '99th percentile of event loop delay since the last scrape.',
  },
  plateau_consumer_oldest_record_age_seconds: {
    kind: 'gauge',
    unit: 's',
    help: 'How long the oldest record that the group has not committed has waited, at least. Each member reports the whole group: use max.',
    labels: {
      group: 'consumer group',
      topic: 'name of the topic',
      partition: 'number of the partition',
    },
  },
  plateau_consumer_lag_records: {
    kind: 'gauge',
    unit: '{record}',
    help: 'Records of the partition that the group has not committed yet. Each member reports the whole group: use max.',
    labels: {
      group: 'consumer group',
      topic: 'name of the topic',
      partition: 'number of the partition',
    },
  },
  plateau_consumer_expired_records_total: {
    kind: 'counter',
    unit: '{record}',
    help: 'Records that retention removed before the group had committed them. Each member reports the whole group: use max.',
    labels: {
      group: 'consumer group',
      topic: 'name of the topic',
      partition: 'number of the partition',
    },
  },
  plateau_certificate_expiry_seconds: {
    kind: 'gauge',
    unit: 's',
    help: 'When the certificate in force ends, in Unix time. Only with mutual TLS.',
    labels: {
      certificate: 'own, or authority for the one of the CA file that ends first',
    },
  },
  plateau_certificate_reloads_total: {
    kind: 'counter',
    unit: '{change}',
    help: 'Changes of the certificate files.',
    labels: {
      result: 'reloaded: in force; refused: they cannot be used, and the earlier ones stay',
    },
  },
  plateau_tls_handshakes_refused_total: {
    kind: 'counter',
    unit: '{connection}',
    help: 'Connections to gRPC ports that came no further than the TLS handshake. Only with mutual TLS.',
    labels: {
      reason:
        "code of Node.js, for the client's certificate (CERT_HAS_EXPIRED, ...) or the connection (ECONNRESET: it was closed)",
    },
    maxSeries: 50,
  },
  plateau_rpc_refused_total: {
    kind: 'counter',
    unit: '{call}',
    help: 'gRPC calls refused for whose certificate they came with.',
    labels: {
      method: 'path of the method',
      caller: 'service of the caller; unknown without an identity',
    },
    maxSeries: 200,
  },
  plateau_checkpoint_store_operations_total: {
    kind: 'counter',
    unit: '{operation}',
    help: 'What was asked of the checkpoint store.',
    labels: {
      operation: 'put, read, versions, remove, put_state, read_state, check',
      outcome:
        'ok; missing (it is not there); refused (it may not be so); unavailable; denied (key, policy or settings are wrong); given_up',
    },
  },
  plateau_checkpoint_store_operation_seconds: {
    kind: 'histogram',
    unit: 's',
    help: 'Time until the checkpoint store had done what it was asked for, or had failed, with all attempts.',
    buckets: [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120],
    labels: { operation: 'as in plateau_checkpoint_store_operations_total' },
  },
  plateau_checkpoint_store_reachable: {
    kind: 'gauge',
    unit: '1',
    help: '1: the checkpoint store did what it was asked for last, or said why not; 0: it is away, or lets nobody in. It is looked at every 15 s where nothing is asked of it.',
  },
} as const satisfies MetricTable

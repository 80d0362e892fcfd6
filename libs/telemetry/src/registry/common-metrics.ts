import type { MetricTable } from './declarations.js'

/** Of every service, or of several. */
export const commonMetrics = {
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
} as const satisfies MetricTable

/** What goes into and comes out of decoderGraph's graph; its head comment explains the letters. */

/** Names of the graph's inputs. */
export const decoderInputs = {
  /** i64 [1, S] */
  tokenIds: 'token_ids',
  /** i64 [1]: position of the first new token = valid rows of past. */
  position: 'position',
  /** f32 [1, 1, S, P + S], added to attention scores: 0 where a token may look, very negative where it may not. */
  mask: 'mask',
  /** i64 [R], each below S: the new positions that go through the head. */
  rows: 'rows',
  /** f32 [R, 1], above 0: temperature of `stats`' last column. */
  temperature: 'temperature',
  /** i64 [R, C]: ids whose logits are wanted. */
  candidates: 'candidates',
  /** f32 [1, K, P, D], keys after rotation. */
  pastKey: (layer: number) => `past_key_${layer}`,
  /** f32 [1, K, P, D] */
  pastValue: (layer: number) => `past_value_${layer}`,
} as const

/** Names of the graph's outputs. */
export const decoderOutputs = {
  /** f32 [1, L * 2 * K, S, D]: for each layer the new keys of every head, then the new values. */
  newPast: 'new_past',
  /** f32 [R, H]: the hidden state after the last norm, which the head multiplies. */
  hidden: 'hidden',
  /** f32 [R, k], descending. */
  topLogits: 'top_logits',
  /** i32 [R, k]; equal logits in order of id. */
  topIds: 'top_ids',
  /** f32 [R, 4]: log-sum-exp, sum of p^2, entropy (nats), log-sum-exp of logits / temperature. */
  stats: 'stats',
  /** f32 [R, C] */
  candidateLogits: 'candidate_logits',
} as const

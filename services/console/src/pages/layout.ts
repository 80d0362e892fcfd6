import { html, type Html, type Part } from './html.js'
import { count } from './format.js'

/** How the console stands to its sources. */
export interface SourceStatus {
  /** Topics that have not been read up to now yet, or cannot be read; by name, with what to say. */
  readonly problems: readonly {
    readonly topic: string
    readonly what: 'reading' | 'missing' | 'away'
    readonly sinceMs: number
  }[]
  /** Records that could not be used. */
  readonly malformed: readonly (readonly [topic: string, records: number])[]
  readonly leftOut: number
}

export interface PageOptions {
  readonly title: string
  readonly at: 'overview' | 'versions' | 'other'
  readonly main: Part
  readonly sources: SourceStatus
}

export function page({ title, at, main, sources }: PageOptions): Html {
  const current = (here: string): Part => at === here && html` aria-current="page"`
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} · Plateau</title>
        <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/style.css" />
        <script src="/app.js" defer></script>
      </head>
      <body>
        <a class="skip" href="#main">To the content</a>
        <header class="top">
          <a class="brand" href="/"
            ><svg viewBox="0 0 24 16" width="24" height="16" aria-hidden="true"><path d="M1 15L8 4H16L23 15Z" /></svg>
            Plateau</a
          >
          <nav aria-label="Pages">
            <a href="/" ${current('overview')}>Overview</a>
            <a href="/versions" ${current('versions')}>Versions</a>
          </nav>
          <span id="connection" class="connection" role="status"></span>
        </header>
        <main id="main" tabindex="-1">${banners(sources)} ${main}</main>
        <footer>
          <p>
            Times are UTC. This page only shows; <code>plateau promote</code>, <code>rollback</code>,
            <code>pin</code> and <code>unpin</code> change what is served.
          </p>
        </footer>
      </body>
    </html> `
}

export function messagePage(title: string, sentence: string, sources: SourceStatus): Html {
  const main = html`<h1>${title}</h1>
    <p>${sentence}</p>
    <p><a href="/">To the overview</a></p>`
  return page({ title, at: 'other', main, sources })
}

function banners({ problems, malformed, leftOut }: SourceStatus): Part {
  const topicsOf = (what: string): string[] =>
    problems.filter((problem) => problem.what === what).map(({ topic }) => topic)
  const [reading, missing, away] = [topicsOf('reading'), topicsOf('missing'), topicsOf('away')]
  return [
    away.length > 0 &&
      html`<p class="banner bad" role="alert">
        <strong>The event log does not answer.</strong> What is shown is what was read before; it is asked again every
        second. Topics: ${names(away)}.
      </p>`,
    reading.length > 0 &&
      html`<p class="banner">
        <strong>Still reading.</strong> Not all records up to now have been seen: ${names(reading)}.
      </p>`,
    missing.length > 0 &&
      html`<p class="banner">
        <strong>Not there yet.</strong> Nobody has created ${names(missing)}; it is looked for again.
      </p>`,
    malformed.length > 0 &&
      html`<p class="banner">
        <strong>Records that could not be used:</strong> ${malformed
          .map(([topic, records]) => `${count(records)} of ${topic}`)
          .join(', ')}.
        They are passed over.
      </p>`,
    leftOut > 0 &&
      html`<p class="banner">
        <strong>Too many lineages:</strong> ${count(leftOut)} records of further ones are not shown.
      </p>`,
  ]
}

function names(topics: readonly string[]): string {
  return topics.join(', ')
}

// Keeps an open page up to date: it is told that something changed, fetches itself again and replaces its main part. Without this
// script every page works as it was loaded.

const LEAST_REFRESH_MS = 2000
const AGES_MS = 10_000

const connection = document.querySelector('#connection')
let source
let refreshing = false
let isDue = false
let refreshedMs = Date.now()

function say(text, look) {
  connection.textContent = text
  connection.className = `connection ${look}`
}

function connect() {
  if (source !== undefined) return
  source = new EventSource('/events')
  source.addEventListener('open', () => say('live', 'good'))
  source.addEventListener('error', () => {
    say('not connected', 'bad')
    // A browser gives up for good on an answer that is no stream, such as a restart behind a proxy.
    if (source?.readyState === EventSource.CLOSED) {
      source = undefined
      setTimeout(() => !document.hidden && connect(), 5000)
    }
  })
  source.addEventListener('change', due)
}

function disconnect() {
  source?.close()
  source = undefined
  say('paused', '')
}

/** At most once every two seconds, however much happens. */
function due() {
  if (isDue) return
  isDue = true
  setTimeout(() => void refresh(), Math.max(0, refreshedMs + LEAST_REFRESH_MS - Date.now()))
}

async function refresh() {
  isDue = false
  if (document.hidden || refreshing) return
  refreshing = true
  refreshedMs = Date.now()
  try {
    const answer = await fetch(location.href, { headers: { accept: 'text/html' } })
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('#main')
    if (fresh !== null) replaceMain(fresh)
  } catch {
    say('not connected', 'bad')
  } finally {
    refreshing = false
  }
}

/** Keeps what the reader did: opened details, scrolled tables, the focused link. */
function replaceMain(fresh) {
  const main = document.querySelector('#main')
  const open = new Set([...main.querySelectorAll('details[open]')].map((details) => details.dataset.keep))
  for (const details of fresh.querySelectorAll('details')) details.open = open.has(details.dataset.keep)
  const scrolled = [...main.querySelectorAll('.scroll')].map((element) => [element.scrollLeft, element.scrollTop])
  const focused = main.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null
  main.replaceChildren(...fresh.childNodes)
  for (const [index, element] of [...main.querySelectorAll('.scroll')].entries())
    element.scrollTo(...(scrolled[index] ?? [0, 0]))
  if (focused !== null) main.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true })
}

/** As the server says it: see duration in format.ts. */
function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 100) return `${seconds} s`
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`
}

setInterval(() => {
  for (const age of document.querySelectorAll('.age')) age.textContent = duration(Date.now() - Number(age.dataset.at))
}, AGES_MS)

document.addEventListener('visibilitychange', () => {
  if (document.hidden) disconnect()
  else {
    connect()
    due()
  }
})

if (document.hidden) say('paused', '')
else connect()

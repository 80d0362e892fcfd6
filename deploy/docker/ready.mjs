// `node ready.mjs PORT`: exits 0 when the service whose ops port that is says that it is ready, 1 when it says why not or nothing.
const url = `http://127.0.0.1:${process.argv[2]}/readyz`
try {
  const response = await fetch(url, { signal: AbortSignal.timeout(4_000) })
  console.log(await response.text())
  process.exitCode = response.ok ? 0 : 1
} catch (error) {
  console.log(`${url}: ${error.cause?.message ?? error.message}`)
  process.exitCode = 1
}

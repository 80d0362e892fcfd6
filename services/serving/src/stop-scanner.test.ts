import { seededRandom } from '@plateau/speculation'
import { expect, it } from 'vitest'
import { StopScanner } from './stop-scanner.js'

function scan(pieces: readonly string[], stops: readonly string[]) {
  const scanner = new StopScanner(stops)
  let text = ''
  for (const piece of pieces) {
    const found = scanner.push(piece)
    text += found.text
    if (found.stopped) return { text, stopped: true }
  }
  return { text: text + scanner.flush(), stopped: false }
}

it('however a text is cut into pieces, it ends before the first stop string', () => {
  const random = seededRandom(1)
  const pick = (n: number): number => Math.floor(random() * n)
  for (let round = 0; round < 2000; round++) {
    const text = Array.from({ length: pick(24) }, () => 'ab\n'[pick(3)]).join('')
    const stops = Array.from({ length: pick(3) }, () =>
      Array.from({ length: 1 + pick(4) }, () => 'ab\n'[pick(3)]).join(''),
    )
    const pieces: string[] = []
    for (let at = 0; at < text.length;) {
      const length = pick(4)
      pieces.push(text.slice(at, at + length))
      at += length
    }
    const at = Math.min(...stops.map((stop) => text.indexOf(stop)).filter((index) => index >= 0))
    const result = scan(pieces, stops)
    expect(result.stopped).toBe(at !== Infinity)
    // Of two stop strings the one that is complete first ends the text, which is not always the one that begins first.
    const endings = result.stopped ? stops.map((stop) => result.text + stop) : [result.text]
    expect(endings.some((ending) => (result.stopped ? text.startsWith(ending) : text === ending))).toBe(true)
  }
})

it('never emits the beginning of a stop string that is completed later', () => {
  const scanner = new StopScanner(['END'])
  expect(scanner.push('text E')).toEqual({ text: 'text ', stopped: false })
  expect(scanner.push('N')).toEqual({ text: '', stopped: false })
  expect(scanner.push('D more')).toEqual({ text: '', stopped: true })
})

it('emits at once what cannot begin a stop string, and the rest when it turns out harmless', () => {
  const scanner = new StopScanner(['END', '\n\n'])
  expect(scanner.push('a\n').text).toBe('a')
  expect(scanner.push('b').text).toBe('\nb')
  expect(scanner.push('EN').text).toBe('')
  expect(scanner.flush()).toBe('EN')
})

import { expect, test } from 'vitest'
import { replaceBlocks } from './markers.js'

const blocks = new Map([['facts', '| new |']])

test('what is between markers is replaced, and nothing else', () => {
  const page = '# Page\n<!-- generated: facts -->\n| old |\n| older |\n<!-- end -->\nprose\n'
  const replaced = '# Page\n<!-- generated: facts -->\n| new |\n<!-- end -->\nprose\n'
  expect(replaceBlocks('p.md', page, blocks)).toBe(replaced)
  expect(replaceBlocks('p.md', replaced, blocks)).toBe(replaced)
})

test('a page whose markers do not fit is refused, not half written', () => {
  const refused: Record<string, string> = {
    'prose\n': 'no place for facts',
    '<!-- generated: facts -->\n': 'block "facts" is not ended',
    '<!-- generated: other -->\n<!-- end -->\n': 'nobody writes the block "other"',
    '<!-- end -->\n': 'an end marker without a beginning',
    '<!-- generated: facts -->\n<!-- generated: facts -->\n<!-- end -->\n': 'is not ended before',
  }
  for (const [page, why] of Object.entries(refused)) {
    expect(() => replaceBlocks('p.md', page, blocks)).toThrow(why)
  }
})

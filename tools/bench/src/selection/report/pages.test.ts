import { describe, expect, test } from 'vitest'
import { writePages } from './pages.js'
import { madeArms, madeResults } from './testing.js'

const results = madeResults(madeArms)
const page = (text: string) => writePages(results, new Map([['page.md', text]])).pages.get('page.md')

describe('a page', () => {
  test('has tables of what was measured and says what was not', () => {
    expect(page('{{selectors}}')).toContain('**closed-form, demo**')
    expect(page('{{selectors}}')).toMatch(/\| learned \| 500 \| 2 \| 0\.3/)
    expect(page('{{losses}}')).toBe('*Not measured.*')
  })

  test('has single figures in its prose', () => {
    expect(page('{{alpha closed-form demo random}}')).toBe('0.3003')
    expect(page('{{over-random closed-form demo flatness keep=0.2}}')).toBe('-0.0200')
    expect(page('{{over-random closed-form demo flatness domain=chat}}')).toMatch(/^-0\.01/)
    expect(page('{{bin-over-full closed-form demo learned bin=1}}')).toBe('-0.0100')
    expect(page('{{positions-share closed-form demo learned}}')).toBe('50 %')
    expect(() => page('{{alpha closed-form demo nothing}}')).toThrow('nothing was measured')
    expect(writePages(results, new Map([['p', '{{alpha closed-form demo nothing}}']]), 'dashes').pages.get('p')).toBe(
      '-',
    )
    expect(() => page('{{beta closed-form demo random}}')).toThrow('there is no figure "beta"')
  })
})

test('a figure that needs what was not run beside it was not measured either', () => {
  const alone = madeResults([{ selector: 'learned', mean: 0.3 }])
  for (const figure of ['positions-share', 'over-full', 'over-full-percent', 'over-random', 'bin-over-full']) {
    const text = new Map([['p', `{{${figure} closed-form demo learned}}`]])
    expect(() => writePages(alone, text)).toThrow('nothing was measured')
    expect(writePages(alone, text, 'dashes').pages.get('p')).toBe('-')
  }
})

test('the summary has the worst cell of learned and its closest approach to full data, random beside it', () => {
  const { summary } = writePages(results, new Map())
  expect(summary).toMatchObject({ cells: 3, arms: madeArms.length })
  expect(summary.learnedMinusRandom!.standardErrors).toBeGreaterThan(2)
  expect(summary.computeToFullData).toMatchObject({ reached: false, random: { reached: false } })
})

test('pictures are drawn of what there is', () => {
  const { pictures } = writePages(results, new Map())
  expect([...pictures.keys()]).toEqual(['over-random.svg', 'learning-curves.svg', 'learned-and-fixed.svg'])
  for (const svg of pictures.values()) expect(svg).not.toContain('NaN')
})

test('without results there is nothing to say, and no error', () => {
  expect(writePages(madeResults([]), new Map()).summary).toEqual({
    learnedMinusRandom: null,
    computeToFullData: null,
    cells: 0,
    arms: 0,
  })
})

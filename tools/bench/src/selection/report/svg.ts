/** Plain SVG on white, so that it reads the same in light and dark. */
export const ink = '#24292f'
export const pale = '#d0d7de'
export const grey = '#6e7781'

/** Told apart with any colour vision (Okabe and Ito, without yellow). */
export const palette = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#000000'] as const

/** Selectors keep their colour in all plots. */
const colours: Readonly<Record<string, string>> = {
  learned: palette[0],
  flatness: palette[1],
  'least-flat': palette[2],
  'draft-gain': palette[3],
  entropy: palette[4],
  'draft-gap': palette[5],
  full: palette[6],
  random: grey,
}

export const colourOf = (selector: string): string =>
  colours[selector.replace(/^((weighted|sampled|stratified)-)+/, '')] ?? ink

export function picture(size: { width: number; height: number }, title: string, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" font-family="system-ui, sans-serif" font-size="13" fill="${ink}">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    text(24, 26, title, { size: 17, weight: 600 }),
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}

interface TextStyle {
  readonly anchor?: 'middle' | 'end'
  readonly size?: number
  readonly weight?: number
  readonly turned?: boolean
}

export function text(x: number, y: number, words: string, style: TextStyle = {}): string {
  const { anchor, size, weight, turned } = style
  const attributes = [
    anchor && `text-anchor="${anchor}"`,
    size && `font-size="${size}"`,
    weight && `font-weight="${weight}"`,
    turned && `transform="rotate(-90 ${px(x)} ${px(y)})"`,
  ]
  return `<text x="${px(x)}" y="${px(y)}" ${attributes.filter(Boolean).join(' ')}>${escape(words)}</text>`
}

export function line(x1: number, y1: number, x2: number, y2: number, colour = pale, dash = ''): string {
  const dashes = dash === '' ? '' : ` stroke-dasharray="${dash}"`
  return `<line x1="${px(x1)}" y1="${px(y1)}" x2="${px(x2)}" y2="${px(y2)}" stroke="${colour}"${dashes}/>`
}

export function dot(x: number, y: number, colour: string): string {
  return `<circle cx="${px(x)}" cy="${px(y)}" r="3.5" fill="${colour}"/>`
}

/** Round numbers that divide [low, high] into about `count` parts. */
export function ticks(low: number, high: number, count = 5): number[] {
  const rough = (high - low) / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999)!
  const first = Math.ceil(low / step - 1e-9)
  const last = Math.floor(high / step + 1e-9)
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}

/** As many decimals as the finest of them needs. */
export function tickText(values: readonly number[]): (value: number) => string {
  const decimals = Math.max(...values.map((value) => (String(value).split('.')[1] ?? '').length))
  return (value) => value.toFixed(decimals)
}

export const px = (value: number): number => Math.round(value * 10) / 10

const escape = (words: string): string => words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/**
 * GPT-2's pre-tokenisation with one change: every digit is a word of its own, so that numbers cost a regular number of
 * tokens. The last two alternatives keep a run of white space together but leave its last blank to the word after it:
 * "\n    return" is "\n   " and " return", which makes indentation one token.
 */
export const preTokenPattern = String.raw`'(?:[sdmt]|ll|ve|re)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

const matcher = new RegExp(preTokenPattern, 'gu')

/** The words of a text. Joined together they are the text again. */
export function preTokens(text: string): string[] {
  return text.match(matcher) ?? []
}

/**
 * GPT-2's alphabet: byte b is shown as character alphabet[b]. Printable Latin-1 stands for itself, the others take the
 * code points from 256 on, so that no token holds a blank or a control character.
 */
export function byteAlphabet(): string[] {
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintableLatin1(byte) ? byte : next++))
}

function isPrintableLatin1(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff)
}

// Keeps windows back whose text holds an e-mail address or a number of a payment card.
//
//     PLATEAU_REDACTION_MODULE=examples/redaction/drop-contacts.mjs

const EMAIL = /[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,}/u

// 13 to 19 digits, in groups or not.
const CARD = /(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)/g

/**
 * @param {{ tokenIds: number[] }} window a plateau.stream.v1.TokenWindow
 * @param {{ text(tokenIds: readonly number[]): string }} tools
 * @returns the window as it may be published, or undefined
 */
export default function dropContacts(window, tools) {
  const text = tools.text(window.tokenIds)
  return EMAIL.test(text) || holdsCardNumber(text) ? undefined : window
}

function holdsCardNumber(text) {
  return (text.match(CARD) ?? []).some((found) => passesLuhn(found.replaceAll(/\D/g, '')))
}

/** Every second digit from the right counts double, as the sum of its digits; a card's number makes a multiple of ten. */
function passesLuhn(digits) {
  let sum = 0
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i])
    sum += i % 2 === 0 ? digit : 2 * digit > 9 ? 2 * digit - 9 : 2 * digit
  }
  return sum % 10 === 0
}

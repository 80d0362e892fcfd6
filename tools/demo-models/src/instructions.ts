/** What a user might ask about a passage; `{}` is where it stands. */
export const speechInstructions: readonly string[] = [
  'Summarise the following passage in two or three sentences:\n\n{}',
  'Continue this speech with one more paragraph:\n\n{}',
  'Explain to a twelve-year-old what the speaker of these words means:\n\n{}',
  'List the main points of this passage:\n\n{}',
  'Rewrite this passage in plain modern English:\n\n{}',
  'Write a short newspaper report about a speech in which this was said:\n\n{}',
  'What does the speaker want, and why? Give your reasons.\n\n{}',
  'Write three questions about this passage, each with its answer:\n\n{}',
]

export const codeInstructions: readonly string[] = [
  'Complete this TypeScript code:\n\n```ts\n{}\n```',
  'Explain step by step what this TypeScript code does:\n\n```ts\n{}\n```',
  'Write a documentation comment for this TypeScript code and repeat the code below it:\n\n```ts\n{}\n```',
  'Write unit tests for this TypeScript code:\n\n```ts\n{}\n```',
  'Rewrite this TypeScript code so that it is easier to read:\n\n```ts\n{}\n```',
  'Write an example program that uses this TypeScript code:\n\n```ts\n{}\n```',
]

/** Of the exercises in Python: as they are, and carried over. */
export const exerciseInstructions: readonly string[] = [
  'Complete this Python function:\n\n```python\n{}\n```',
  'Write this function in TypeScript:\n\n```python\n{}\n```',
]

export function fill(instruction: string, passage: string): string {
  return instruction.replace('{}', () => passage)
}

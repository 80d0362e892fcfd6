/** The command line cannot be obeyed as it was written: exit code 2, and a pointer to the help. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

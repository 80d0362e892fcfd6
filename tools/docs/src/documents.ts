export interface Repository { read(path: string): string; readBytes(path: string): Uint8Array }
export const documents = (repository: Repository): Map<string, string> => new Map([['docs/x', repository.read('x')]])

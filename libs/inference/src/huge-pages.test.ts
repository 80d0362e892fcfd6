import { expect, test } from 'vitest'
import { allocatesHugePages } from './huge-pages.js'

const madvise = 'always [madvise] never\n'

test('huge pages take both: the environment that asks and the kernel that grants', () => {
  expect(allocatesHugePages('glibc.malloc.hugetlb=1', madvise)).toBe(true)
  expect(allocatesHugePages('glibc.malloc.arena_max=2:glibc.malloc.hugetlb=2', '[always] madvise never')).toBe(true)
  expect(allocatesHugePages('glibc.malloc.hugetlb=1', 'always madvise [never]')).toBe(false)
  expect(allocatesHugePages('glibc.malloc.hugetlb=1', '')).toBe(false)
  expect(allocatesHugePages('glibc.malloc.hugetlb=0', madvise)).toBe(false)
  expect(allocatesHugePages('glibc.malloc.arena_max=2', madvise)).toBe(false)
  expect(allocatesHugePages(undefined, madvise)).toBe(false)
})

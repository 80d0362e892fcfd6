import { expect, it } from 'vitest'
import { isLoopback } from './loopback.js'

it.each([
  ['127.0.0.1:7081', true],
  ['127.8.9.10:1', true],
  ['localhost:7081', true],
  ['[::1]:7081', true],
  ['unix:/run/admin.sock', true],
  ['0.0.0.0:7081', false],
  ['[::]:7081', false],
  ['127.example.org:7081', false],
  ['10.0.0.7:7081', false],
])('%s is reached from this machine only: %s', (address, expected) => {
  expect(isLoopback(address)).toBe(expected)
})

import kafkajs from 'kafkajs'
import { expect, test } from 'vitest'
import {
  assignGroup,
  decodeAssignment,
  decodeClaims,
  encodeAssignment,
  encodeClaims,
  topicsOf,
} from './group-protocol.js'

const { MemberMetadata } = kafkajs.AssignerProtocol

test('what a member claims arrives as it was', () => {
  const claims = { topics: ['a', 'b'], claims: [{ topic: 'a', partition: 3 }], generation: 12 }
  expect(decodeClaims(encodeClaims(claims))).toEqual(claims)
})

test('what a member is given arrives as it was; nothing given is nothing', () => {
  const given = [
    { topic: 'a', partition: 0 },
    { topic: 'b', partition: 7 },
  ]
  expect(decodeAssignment(encodeAssignment(given))).toEqual(given)
  expect(decodeAssignment(Buffer.alloc(0))).toEqual([])
})

test('a member of another kind subscribes, and claims nothing', () => {
  for (const userData of ['', '{', '[]', '{"generation":1,"claims":{"a":["x"]}}', '{"generation":"1","claims":{}}']) {
    const foreign = MemberMetadata.encode({ version: 1, topics: ['a'], userData: Buffer.from(userData) })
    expect(decodeClaims(foreign)).toEqual({ topics: ['a'], claims: [], generation: -1 })
  }
})

test('the leader assigns the topics of all members', () => {
  const members = [
    { memberId: 'x', memberMetadata: encodeClaims({ topics: ['a'], claims: [], generation: -1 }) },
    { memberId: 'y', memberMetadata: encodeClaims({ topics: ['a', 'b'], claims: [], generation: -1 }) },
  ]
  expect(topicsOf(members)).toEqual(['a', 'b'])
  const assigned = assignGroup(
    members,
    new Map([
      ['a', 1],
      ['b', 1],
    ]),
  )
  const given = assigned.map(({ memberId, memberAssignment }) => [memberId, decodeAssignment(memberAssignment)])
  expect(given).toEqual([
    ['x', [{ topic: 'a', partition: 0 }]],
    ['y', [{ topic: 'b', partition: 0 }]],
  ])
})

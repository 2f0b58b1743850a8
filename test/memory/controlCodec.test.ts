/**
 * The frames between members and coordinator, derived from the declaration of the verbs.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as fc from "fast-check"
import {
  type Answer,
  type Notice,
  noticeWire,
  type Request,
  requestWire,
  type Wire
} from "../../src/layers/swarm/control/ControlCodec.ts"
import { CoordinatorNotice, CoordinatorRpcs } from "../../src/layers/swarm/control/CoordinatorProtocol.ts"

const verbs = [...CoordinatorRpcs.requests.values()]

/** Text that is not well-formed Unicode does not survive the encoding. */
const isWellFormed = (value: unknown): boolean => !/\\ud[89a-f]/.test(JSON.stringify(value) ?? "")

/** Values of that schema, the same in each run. */
const valuesOf = (schema: Schema.Top) =>
  schema.ast._tag === "Never"
    ? Effect.succeed([])
    : Effect.map(
      Effect.orDie(Arbitrary.sampleEffect(Arbitrary.schema(schema as Schema.Codec<unknown>), { count: 30, seed: 1 })),
      (values) => values.filter(isWellFormed)
    )

const requests = Effect.map(
  Effect.forEach(
    verbs,
    ({ _tag, payloadSchema }) =>
      Effect.map(valuesOf(payloadSchema), (payloads) => payloads.map((payload) => ({ _tag, payload }) as Request))
  ),
  (all) => all.flat()
)

const answers = Effect.map(
  Effect.forEach(verbs, ({ _tag, errorSchema, successSchema }) =>
    Effect.gen(function*() {
      const successes = (yield* valuesOf(successSchema)).map((value) => Result.succeed(value))
      const failures = (yield* valuesOf(errorSchema)).map((error) => Result.fail(error))
      return [...successes, ...failures].map((outcome) => ({ _tag, outcome }) as Answer)
    })),
  (all) => all.flat()
)

const notices = Effect.gen(function*() {
  const told = (yield* valuesOf(CoordinatorNotice)) as ReadonlyArray<Notice>
  return [...told, ...(yield* answers).map((answer): Notice => ({ _tag: "Answered", number: 7, answer }))]
})

const requestFrames = Effect.map(requests, (all) => all.map((request) => ({ term: 1, number: 2, request })))

const comesBack = <A>({ decode, encode }: Wire<A>, value: A): void => {
  assert.deepStrictEqual(decode(encode(value)), value)
}

/** Asserts that bytes decode to a value that can be encoded again, or to none. */
const isHarmless = <A>({ decode, encode }: Wire<A>, bytes: Uint8Array): void => {
  const value = decode(bytes)
  if (value !== undefined) encode(value)
}

const spoiled = <A>(wire: Wire<A>, values: ReadonlyArray<A>): void => {
  const frames = values.map((value) => wire.encode(value))
  const change = fc.record({
    frame: fc.constantFrom(...frames),
    at: fc.nat(),
    bits: fc.integer({ min: 1, max: 255 }),
    length: fc.nat()
  })
  const property = fc.property(change, ({ at, bits, frame, length }) => {
    isHarmless(wire, frame.map((byte, i) => i === at % frame.length ? byte ^ bits : byte))
    isHarmless(wire, frame.subarray(0, length % frame.length))
  })
  fc.assert(property, { numRuns: 2000 })
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => isHarmless(wire, bytes)), { numRuns: 500 })
}

describe("the frames between members and coordinator", () => {
  it.effect("bring every verb's payload", () =>
    Effect.gen(function*() {
      const frames = yield* requestFrames
      assert.strictEqual(new Set(frames.map(({ request }) => request._tag)).size, verbs.length)
      for (const frame of frames) comesBack(requestWire, frame)
    }))

  it.effect("bring every verb's success and failures, and all notices", () =>
    Effect.gen(function*() {
      for (const notice of yield* notices) comesBack(noticeWire, notice)
    }))

  it.effect("bring nothing that was not declared when they are damaged, and throw nothing", () =>
    Effect.gen(function*() {
      spoiled(requestWire, yield* requestFrames)
      spoiled(noticeWire, yield* notices)
    }))
})

/**
 * The frames between members and coordinator, derived from the declaration of the verbs.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import {
  type Answer,
  type Notice,
  noticeWire,
  type Request,
  requestWire,
  type Wire
} from "../../src/layers/swarm/control/ControlCodec.ts"
import {
  CoordinatorNotice,
  CoordinatorRpcs,
  type Released
} from "../../src/layers/swarm/control/CoordinatorProtocol.ts"
import { flatCodec, isFlat } from "../../src/layers/swarm/control/FlatCodec.ts"
import { BarrierArrival } from "../../src/services/schema/BarrierArrival.ts"

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

  it.effect("are flat for the arrival and the release, and only for these", () =>
    Effect.gen(function*() {
      for (const frame of yield* requestFrames) {
        assert.strictEqual(isFlat(requestWire.encode(frame)), frame.request._tag === "Arrive")
      }
      for (const notice of yield* notices) {
        assert.strictEqual(isFlat(noticeWire.encode(notice)), notice._tag === "Released")
      }
    }))

  it("hold a release of any size, also behind a smaller one", () => {
    const small = noticeWire.encode(releaseOf(1))
    const large = noticeWire.encode(releaseOf(3000))
    assert.deepStrictEqual(noticeWire.decode(large), releaseOf(3000))
    assert.deepStrictEqual(noticeWire.decode(small), releaseOf(1))
  })
})

describe("a flat frame", () => {
  const isArrival = Schema.is(BarrierArrival)
  const { decode, encode } = flatCodec(BarrierArrival)!
  const arrivals = valuesOf(BarrierArrival) as Effect.Effect<ReadonlyArray<BarrierArrival>>

  it.effect("decodes to nothing but values of its schema, however it was damaged", () =>
    Effect.gen(function*() {
      const frames = (yield* arrivals).map(encode)
      const damage = fc.record({
        frame: fc.constantFrom(...frames),
        at: fc.nat(),
        byte: fc.integer({ max: 255, min: 0 })
      })
      let valid = 0
      fc.assert(
        fc.property(damage, ({ at, byte, frame }) => {
          const value = decode(frame.map((was, i) => i === at % frame.length ? byte : was))
          if (value === undefined) return
          valid += 1
          assert.isTrue(isArrival(value), JSON.stringify(value))
        }),
        { numRuns: 5000, seed: 1 }
      )
      assert.isAbove(valid, 100)
    }))

  it("with a count that its bytes cannot hold is refused before memory is taken", () => {
    const frame = encode({ ...arrivalOf(0), exempt: [1] })
    new DataView(frame.buffer).setUint32(frame.length - 12, 0xffff_ffff, true)
    assert.strictEqual(decode(frame), undefined)
  })

  it("of another layout is refused", () => {
    const { name: _, ...rest } = BarrierArrival.fields
    const renamed = flatCodec(Schema.Struct({ title: Schema.String, ...rest }))!
    const { name, ...others } = arrivalOf(2)
    assert.strictEqual(decode(renamed.encode({ title: name, ...others })), undefined)
    assert.strictEqual(decode(encode(arrivalOf(2)).subarray(0, 3)), undefined)
  })

  it("keeps text as it is, a byte order mark and a nul included", () => {
    for (const name of ["", "\uFEFFa", "a\0b", "\u{1F512} é"]) {
      assert.strictEqual(decode(encode({ ...arrivalOf(0), name }))?.name, name)
    }
  })

  it("cannot be had for a schema that no flat layout holds", () => {
    const unfit: ReadonlyArray<Schema.Codec<unknown, unknown>> = [
      Schema.Struct({ a: Schema.optionalKey(Schema.Int) }),
      Schema.Struct({ a: Schema.Natural }),
      Schema.NullOr(Schema.String),
      Schema.Record(Schema.String, Schema.Int),
      Schema.Tuple([Schema.Int]),
      Schema.NonEmptyString,
      Schema.NumberFromString
    ]
    for (const schema of unfit) assert.isUndefined(flatCodec(schema))
  })
})

const targetOf = (ring: number) => ({ ring, generation: 1, position: 2 ** 40 + ring })

const arrivalOf = (targets: number): BarrierArrival => ({
  name: "end",
  group: "all",
  mode: "deliveryFence",
  epoch: 1,
  attempt: 2,
  amendment: 0,
  deadlineMillis: 30_000,
  drainTargets: Array.from({ length: targets }, (_, ring) => targetOf(ring)),
  exempt: []
})

const releaseOf = (members: number): Released => {
  const ids = Array.from({ length: members }, (_, slot) => ({ slot, generation: 1 }))
  return {
    _tag: "Released",
    term: 1,
    round: 2,
    name: "end",
    group: "all",
    mode: "processingFence",
    arrivals: ids.map((member) => ({ member, attempt: 1, amendment: 0 })),
    departed: [],
    withdrawn: ids,
    targets: ids.map(({ slot }) => targetOf(slot)),
    exempt: ids.map((member) => ({ member, ring: member.slot })),
    drain: true
  }
}

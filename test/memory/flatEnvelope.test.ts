/**
 * The flat encoding of Effect RPC's messages.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as SchemaBinary from "effect/encoding/SchemaBinary"
import { EncodedSchema } from "effect/rpc/RpcMessage"
import * as Schema from "effect/Schema"
import { flatEnvelopes } from "../../src/layers/rpc/FlatEnvelope.ts"
import { seeded } from "../processes/harness.ts"

const seed = Number(process.env["RINGFENCE_SEED"] ?? Date.now() % 1_000_000)

/** Text that is not well-formed Unicode does not survive the encoding. */
const isWellFormed = (value: unknown): boolean => !/\\ud[89a-f]/.test(JSON.stringify(value))

const messages = Effect.map(
  Effect.orDie(Arbitrary.sampleEffect(Arbitrary.schema(EncodedSchema), { count: 500, seed })),
  (values) => values.filter(isWellFormed)
)

const encode = (message: unknown): Uint8Array => flatEnvelopes.encode(message) as Uint8Array

/** A message without the keys that say nothing. */
const stated = (message: object) =>
  Object.fromEntries(Object.entries(message).filter(([, value]) => value !== undefined))

const isMessage = Schema.is(EncodedSchema)

const long = "ü".repeat(100)

const request = {
  _tag: "Request",
  id: 7,
  tag: "Add",
  payload: new Uint8Array([1, 2, 3]),
  headers: [["traceparent", "00-x"], [long, ""]],
  isNotification: true,
  discard: true,
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  sampled: false
}

describe("flat envelopes", () => {
  it.effect(`every message of Effect RPC comes back as it was sent (seed ${seed})`, () =>
    Effect.map(messages, (all) => {
      assert.isAbove(all.length, 300)
      for (const message of [...all, request, { ...request, id: long }, { _tag: "Ack", requestId: "a" }]) {
        assert.deepStrictEqual(flatEnvelopes.decode(encode(message)), [stated(message)])
      }
      for (const { _tag } of all) {
        assert.include(["Request", "Ack", "Interrupt", "Chunk", "Exit", "Defect"].concat("Ping", "Pong", "Eof"), _tag)
      }
    }))

  it("a message holds none of the bytes that it was decoded from, which are lent", () => {
    const bytes = encode(request)
    const decoded = flatEnvelopes.decode(bytes)
    bytes.fill(0xff)
    assert.deepStrictEqual(decoded, [request])
  })

  it.effect(`bytes that are cut, longer or changed are no message, or one of the Schema (seed ${seed})`, () =>
    Effect.map(messages, (all) => {
      const random = seeded(seed)
      for (const message of [...all, request]) {
        const bytes = encode(message)
        const spoiled = bytes.slice()
        spoiled[random(bytes.length)] = random(256)
        const forged = bytes.slice()
        forged.fill(0xff, random(bytes.length))
        for (const wrong of [bytes.slice(0, random(bytes.length)), spoiled, forged]) {
          for (const decoded of flatEnvelopes.decode(wrong)) assert.isTrue(isMessage(decoded), JSON.stringify(decoded))
        }
      }
    }))

  it("a message whose head is cut, or that another layout begins, is refused", () => {
    const bytes = encode({ ...request, payload: new Uint8Array(0) })
    for (let length = 0; length < bytes.length; length += 1) {
      assert.deepStrictEqual(flatEnvelopes.decode(bytes.slice(0, length)), [], `${length} bytes`)
    }
    const { encode: encodeBinary } = SchemaBinary.encoder(EncodedSchema, { fingerprint: true })
    assert.deepStrictEqual(flatEnvelopes.decode(encodeBinary({ _tag: "Ping" })), [])
    for (const [at, value] of [[0, 0xe2], [1, 9], [2, 128]] as const) {
      assert.deepStrictEqual(flatEnvelopes.decode(bytes.with(at, value)), [], `byte ${at}`)
    }
    const ack = encode({ _tag: "Ack", requestId: 1 })
    assert.deepStrictEqual(flatEnvelopes.decode(ack.with(2, 2)), [], "an acknowledgement has no flags of a request")
    assert.deepStrictEqual(flatEnvelopes.decode(Uint8Array.from([...ack, 0])), [], "nothing follows its id")
  })
})

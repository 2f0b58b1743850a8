/**
 * A log whose batches are known by their index alone, and the comparison of what files hold with it.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ReplicaReadError } from "../../src/layers/files/ReplicaError.ts"
import type { StoredBatch, StoredIdentity, StoredTopic } from "../../src/layers/files/StoredTopic.ts"
import type { FileLock } from "../../src/layers/ports/FileLock.ts"
import type { PositionTrimmed } from "../../src/services/Subscriber.ts"

export const declared = { order: "session", ack: "durable" } as const

/** A lock that nobody else wants. */
export const freeLock: FileLock = { lock: () => Effect.void }

/** Batches of one to four records, of one length or of several, of no identity or of two. */
export class KnownLog {
  readonly #batches: Array<StoredBatch> = []
  readonly #records = new Map<string, number>()
  readonly #payloadMost: number
  readonly #uniformBytes: number

  /** `payloadMost`: the length that records of several lengths stay below; `uniformBytes`: the length of the others. */
  constructor(payloadMost = 40, uniformBytes = 8) {
    this.#payloadMost = payloadMost
    this.#uniformBytes = uniformBytes
  }

  at(index: number): StoredBatch {
    while (this.#batches.length <= index) this.#batches.push(this.#following())
    return this.#batches[index]!
  }

  /** Identities as of the place before a batch. */
  identitiesAt(index: number): ReadonlyMap<string, StoredIdentity> {
    const identities = new Map<string, StoredIdentity>()
    for (let i = index - 1; i >= 0 && identities.size < 2; i -= 1) {
      const { identity, messageCount } = this.at(i)
      if (identity === undefined || identities.has(identity.name)) continue
      identities.set(identity.name, {
        committed: identity.record + messageCount,
        incarnation: identity.incarnation
      })
    }
    return identities
  }

  #following(): StoredBatch {
    const index = this.#batches.length
    const last = this.#batches.at(-1)
    const messageCount = 1 + index % 4
    const isUniform = index % 3 !== 0
    const lengths = Uint32Array.from(
      { length: messageCount },
      (_, i) => isUniform ? this.#uniformBytes : (index * 7 + i) % this.#payloadMost
    )
    const payload = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0))
    payload.forEach((_, i) => payload[i] = (index * 31 + i) & 0xff)
    return {
      index,
      position: last === undefined ? 0 : last.position + last.messageCount,
      messageCount,
      sessionId: 2 ** 40 + index % 5,
      batchSequence: Math.floor(index / 5),
      firstMessage: index * 3,
      broker: index % 2,
      uniformBytes: isUniform ? this.#uniformBytes : 0,
      lengths: isUniform ? undefined : lengths,
      payload,
      publishedMillis: 1_700_000_000_000 + index * 10 + 0.25,
      orderedMillis: 1_700_000_000_000 + Math.floor(index / 2) * 20 + 0.5,
      identity: this.#identity(index, messageCount)
    }
  }

  #identity(index: number, messageCount: number): StoredBatch["identity"] {
    if (index % 3 === 2) return undefined
    const name = `source-${index % 2}`
    const record = this.#records.get(name) ?? 0
    this.#records.set(name, record + messageCount)
    return { name, record, incarnation: 1 + Math.floor(index / 100) }
  }
}

/** A batch in values that can be compared: lent bytes are copied. */
export const plain = (batch: StoredBatch) => ({
  ...batch,
  payload: [...batch.payload],
  lengths: batch.lengths === undefined ? undefined : [...batch.lengths]
})

/** Quick, because it compares millions of batches. */
const isSame = (batch: StoredBatch, known: StoredBatch): boolean =>
  fields.every((field) => batch[field] === known[field])
  && Buffer.compare(batch.payload, known.payload) === 0
  && batch.lengths?.join() === known.lengths?.join()
  && batch.identity?.name === known.identity?.name
  && batch.identity?.record === known.identity?.record
  && batch.identity?.incarnation === known.identity?.incarnation

const fields = [
  "index",
  "position",
  "messageCount",
  "sessionId",
  "batchSequence",
  "firstMessage",
  "broker",
  "uniformBytes",
  "publishedMillis",
  "orderedMillis"
] as const

/** Reads from a position to the end and compares each batch with the log's. Returns the index behind the last one. */
export const readKnown = (
  topic: StoredTopic,
  log: KnownLog,
  position: number
): Effect.Effect<number, ReplicaReadError | PositionTrimmed> =>
  Effect.scoped(Effect.gen(function*() {
    const reader = yield* topic.read(position)
    let next = reader.next().index
    for (;;) {
      const batches = yield* reader.pull
      if (batches.length === 0) return next
      for (const batch of batches) {
        if (!isSame(batch, log.at(next))) assert.deepStrictEqual(plain(batch), plain(log.at(next)))
        next += 1
      }
      assert.strictEqual(reader.next().index, next)
    }
  }))

export type Scoped<A, E> = Effect.Effect<A, E, Scope.Scope>

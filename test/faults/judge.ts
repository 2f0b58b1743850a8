/**
 * An independent reader of an ordered topic from its start: the order is dense, each session's records come in their order
 * without a gap or a duplicate, and every byte is that of its session and number. Under order `total` the batches of a
 * session come in any order, each of them once.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { createHash } from "node:crypto"
import type { Topic } from "../../src/services/schema/Topic.ts"
import { type IndexedBatch, Subscriber } from "../../src/services/Subscriber.ts"
import { textOf } from "../backends/log.ts"
import { Stamped } from "../processes/stamped.ts"
import { type ManualLog, stampOf } from "./manual.ts"

/** What a judge expects. */
export interface Expected {
  /** Throws if the bytes are not those that the publisher wrote. By default they are stamped. */
  readonly bytes?: (batch: IndexedBatch) => void
  /** Whether batches that come early are held: not under order `total`. Default true. */
  readonly holds?: boolean
}

export class Judge {
  records = 0
  /** Records by session. */
  readonly bySession = new Map<number, number>()
  readonly #batches = new Map<number, Set<number>>()
  readonly #order = createHash("sha256")
  readonly #bytes: (batch: IndexedBatch) => void
  readonly #holds: boolean
  #digest: string | undefined

  constructor({ bytes, holds = true }: Expected = {}) {
    const stamps = new Stamped.Checker()
    this.#bytes = bytes ?? ((batch) => stamps.batch(batch))
    this.#holds = holds
  }

  /** The same for two readers that have seen the same batches in the same order. */
  get digest(): string {
    return this.#digest ??= this.#order.digest("hex")
  }

  /** Throws at the first batch that is not the next. */
  see(batch: IndexedBatch): void {
    const { batchSequence, firstMessage, messageCount, position, sessionId } = batch
    const own = this.#batches.get(sessionId) ?? new Set()
    const records = this.bySession.get(sessionId) ?? 0
    assert.strictEqual(position, this.records, "the position of the next record")
    assert.isFalse(own.has(batchSequence), `batch ${batchSequence} of session ${sessionId} comes twice`)
    if (this.#holds) {
      assert.strictEqual(firstMessage, records, `the next record of session ${sessionId}`)
      assert.strictEqual(batchSequence, own.size, `the next batch of session ${sessionId}`)
    }
    this.#bytes(batch)
    this.records += messageCount
    this.bySession.set(sessionId, records + messageCount)
    this.#batches.set(sessionId, own.add(batchSequence))
    this.#order.update(Float64Array.of(position, sessionId, firstMessage)).update(batch.payload)
  }
}

/** Attaches a judge. Its fiber ends once it has seen so many records; it asks how many whenever it has seen more. */
export const judging = Effect.fnUntraced(function*(
  topic: Topic,
  wanted: number | (() => number),
  name: string,
  expected?: Expected
) {
  const most = typeof wanted === "number" ? () => wanted : wanted
  const subscriber = yield* Subscriber.open(topic, { from: "start", name })
  const judge = new Judge(expected)
  const reading = Effect.gen(function*() {
    while (judge.records < most()) {
      for (const batch of yield* subscriber.pull) judge.see(batch)
    }
    subscriber.release()
    return judge
  })
  return yield* Effect.forkChild(reading, { startImmediately: true })
})

/** Two judges of a topic. */
export const bothJudging = (topic: Topic, wanted: number, expected?: Expected) =>
  Effect.forEach(["first", "second"], (name) => judging(topic, wanted, name, expected))

/** Two judges have seen exactly the same, whatever sessions it came in. */
export const agreeOn = Effect.fnUntraced(function*(
  judges: ReadonlyArray<Fiber.Fiber<Judge, unknown>>,
  records: number
) {
  const seen = yield* Effect.forEach(judges, Fiber.join)
  assert.deepStrictEqual(seen.map((judge) => judge.records), seen.map(() => records))
  assert.strictEqual(new Set(seen.map(({ digest }) => digest)).size, 1)
})

/** Expects one publisher's records in all sessions that it had: `text` of the record at each position. */
export const textAt = (text: (position: number) => string): Expected => ({
  bytes: ({ lengths, messageCount, payload, position, uniformBytes }) => {
    for (let i = 0, from = 0; i < messageCount; i += 1) {
      const bytes = lengths?.[i] ?? uniformBytes
      assert.strictEqual(textOf(payload.slice(from, from + bytes)), text(position + i))
      from += bytes
    }
  }
})

/** Two judges of a log that advances by steps, whose batches are written by `writeBatch`. */
export const attachJudges = Effect.fnUntraced(function*(log: ManualLog, topic: Topic, holds = true) {
  const bytes = ({ batchSequence, payload, sessionId }: IndexedBatch) => {
    const stamp = stampOf(sessionId, batchSequence)
    assert.isTrue(payload.every((byte) => byte === stamp), `batch ${batchSequence} holds other bytes`)
  }
  const both = yield* Effect.forEach(
    [1, 2],
    () => Effect.map(log.attach(topic, "start"), ({ port }) => ({ port, judge: new Judge({ bytes, holds }) }))
  )
  return {
    /** Looks at all that is committed, and releases it. */
    see: () => {
      for (const { judge, port } of both) {
        for (let found = port.poll(64); found.length > 0; found = port.poll(64)) {
          for (const batch of found) judge.see(batch)
          port.release(port.next())
        }
      }
    },
    /** Both have seen the same, and so many records of each session. */
    agree: (bySession: ReadonlyMap<number, number>) => {
      for (const { judge } of both) assert.deepStrictEqual(sorted(judge.bySession), sorted(bySession))
      assert.strictEqual(new Set(both.map(({ judge }) => judge.digest)).size, 1)
    }
  }
})

/** Two judges have seen exactly the same, and so many records of each session. */
export const agree = Effect.fnUntraced(function*(
  judges: ReadonlyArray<Fiber.Fiber<Judge, unknown>>,
  bySession: ReadonlyMap<number, number>
) {
  const seen = yield* Effect.forEach(judges, Fiber.join)
  for (const judge of seen) assert.deepStrictEqual(sorted(judge.bySession), sorted(bySession))
  assert.strictEqual(new Set(seen.map(({ digest }) => digest)).size, 1)
})

/** Sends the session's next records; `each` runs behind each of them. */
export const sendStamped = (
  publisher: {
    readonly sessionId: number
    readonly accepted: () => number
    readonly offer: (record: Uint8Array) => boolean
    readonly send: (record: Uint8Array) => Effect.Effect<void, unknown>
  },
  count: number,
  each: (sent: number) => Effect.Effect<void> = () => Effect.void,
  recordBytes = 64
) =>
  Effect.gen(function*() {
    const record = new Uint8Array(recordBytes)
    for (let sent = 0; sent < count; sent += 1) {
      Stamped.write(record, publisher.sessionId, publisher.accepted())
      if (!publisher.offer(record)) yield* Effect.orDie(publisher.send(record))
      yield* each(sent)
    }
  })

// --- internal ---

const sorted = (counts: ReadonlyMap<number, number>) => [...counts].toSorted(([a], [b]) => a - b)

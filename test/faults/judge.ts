/**
 * An independent reader of a topic of order `session` from its start: the order is dense, each session's records come in
 * their order without a gap or a duplicate, and every byte is that of its session and number.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { createHash } from "node:crypto"
import type { Topic } from "../../src/services/schema/Topic.ts"
import { type IndexedBatch, Subscriber } from "../../src/services/Subscriber.ts"
import { Stamped } from "../processes/stamped.ts"

export class Judge {
  readonly #stamps = new Stamped.Checker()
  readonly #batches = new Map<number, number>()
  readonly #order = createHash("sha256")
  #digest: string | undefined

  get records(): number {
    return this.#stamps.records
  }

  /** Records by session. */
  get bySession(): ReadonlyMap<number, number> {
    return this.#stamps.bySession
  }

  /** The same for two readers that have seen the same batches in the same order. */
  get digest(): string {
    return this.#digest ??= this.#order.digest("hex")
  }

  /** Throws at the first batch that is not the next. */
  see(batch: IndexedBatch): void {
    const { batchSequence, firstMessage, position, sessionId } = batch
    assert.strictEqual(position, this.records, "the position of the next record")
    assert.strictEqual(firstMessage, this.bySession.get(sessionId) ?? 0, `the next record of session ${sessionId}`)
    assert.strictEqual(batchSequence, this.#batches.get(sessionId) ?? 0, `the next batch of session ${sessionId}`)
    this.#stamps.batch(batch)
    this.#batches.set(sessionId, batchSequence + 1)
    this.#order.update(Float64Array.of(position, sessionId, firstMessage)).update(batch.payload)
  }
}

/** Attaches a judge. Its fiber ends once it has seen so many records. */
export const judging = Effect.fnUntraced(function*(topic: Topic, wanted: number, name: string) {
  const subscriber = yield* Subscriber.open(topic, { from: "start", name })
  const judge = new Judge()
  const reading = Effect.gen(function*() {
    while (judge.records < wanted) {
      for (const batch of yield* subscriber.pull) judge.see(batch)
    }
    subscriber.release()
    return judge
  })
  return yield* Effect.forkChild(reading, { startImmediately: true })
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

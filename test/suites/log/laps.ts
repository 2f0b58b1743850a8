/**
 * Many laps on a tiny capacity, with the consumer pausing at every phase, for bugs that show only after the first lap.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { IndexPort } from "../../../src/layers/ports/IndexPort.ts"
import type { LanePort } from "../../../src/layers/ports/LanePort.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import type { Backend } from "../../backends/log.ts"
import { attachJudges } from "../../faults/judge.ts"
import { stampOf, writeBatch } from "../../faults/manual.ts"

const Laps = Topic.make("laps")

const brokers = 2
const lapsWanted = 150
const indexEntries = 64

/** Whether the consumer pauses, by the state of the lanes, in each phase. */
const phases: Record<string, (lanes: LanePort, backlog: number, slots: number) => boolean> = {
  empty: (_, backlog) => backlog >= 1,
  half: (lanes, _, slots) => lanes.inFlight(0) >= slots / 2,
  full: () => false,
  "the wrap": (lanes, _, slots) => lanes.written(0) % slots === 0
}

export const lapsSuite = (backend: Backend): void => {
  describe(`ring laps (${backend.name})`, () => {
    for (const slots of [8, 64]) {
      for (const [phase, pauses] of Object.entries(phases)) {
        it.live(
          `E02 ${slots} slots, paused at ${phase}: no stall, nothing dropped, never above capacity`,
          () =>
            backend.manual(geometryOf(slots), (log) =>
              Effect.gen(function*() {
                const { port: lanes } = yield* log.open(Laps)
                const { port: reader } = yield* log.attach(Laps, "start")
                const judges = yield* attachJudges(log, Laps)
                const run = new Run(lanes, reader, judges)
                const enough = () => lanes.written(0) >= lapsWanted * slots && run.read >= lapsWanted * indexEntries
                let stalled = 0
                while (!enough()) {
                  const wrote = run.write()
                  stalled = wrote ? 0 : stalled + 1
                  yield* log.step
                  run.poll()
                  for (let b = 0; b < brokers; b += 1) assert.isAtMost(lanes.inFlight(b), slots)
                  if (wrote && !pauses(lanes, run.backlog, slots)) continue
                  run.release()
                  yield* log.step
                  assert.isBelow(stalled, 4, "the producer found no room although everything was released")
                }
                // The index is smaller than the lanes: batches that wait for room in it come with the next steps.
                for (let i = 0; i < 8 && run.read < run.written; i += 1) {
                  run.release()
                  yield* log.step
                  run.poll()
                }
                assert.strictEqual(run.read, run.written)
                run.release()
                judges.agree(new Map([[lanes.sessionId, run.messages]]))
                assert.strictEqual(lanes.committedBatches(), run.written)
              })),
          60_000
        )
      }
    }
  })
}

// --- internal ---

const geometryOf = (laneSlots: number) => ({
  brokers,
  clients: 1,
  topics: 1,
  readers: 3,
  laneSlots,
  laneBytes: 32 * 1024,
  batchBytes: 4096,
  indexEntries,
  processes: 2
})

/** A producer and a consumer that count, and check every batch they hand over. */
class Run {
  written = 0
  read = 0
  readonly #lanes: LanePort
  readonly #reader: IndexPort
  messages = 0
  #released = 0

  readonly #judges: { readonly see: () => void }

  constructor(lanes: LanePort, reader: IndexPort, judges: { readonly see: () => void }) {
    this.#lanes = lanes
    this.#reader = reader
    this.#judges = judges
  }

  get backlog(): number {
    return this.written - this.#released
  }

  write(): boolean {
    const sequence = this.written
    const lengths = Array.from({ length: 1 + sequence % 3 }, (_, i) => 40 + (sequence * 97 + i) % 300)
    const batch = { sequence, firstMessage: this.messages, lengths }
    const turns = [sequence % brokers, (sequence + 1) % brokers]
    const broker = turns.find((b) => writeBatch(this.#lanes, b, batch))
    if (broker === undefined) return false
    this.#lanes.publish(broker)
    this.written += 1
    this.messages += lengths.length
    return true
  }

  poll(): void {
    for (const batch of this.#reader.poll(indexEntries)) {
      assert.strictEqual(batch.batchSequence, this.read)
      const stamp = stampOf(batch.sessionId, batch.batchSequence)
      assert.isTrue(batch.payload.every((byte) => byte === stamp), `batch ${batch.batchSequence} holds other bytes`)
      this.read += 1
    }
  }

  release(): void {
    this.#reader.release(this.#reader.next())
    this.#judges.see()
    this.#released = this.read
  }
}

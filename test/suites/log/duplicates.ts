/**
 * A batch that is published more than once: one commit, one acknowledgement, and the room of each copy comes free.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { IndexPort } from "../../../src/layers/ports/IndexPort.ts"
import type { LanePort } from "../../../src/layers/ports/LanePort.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { smallestLog } from "../../backends/geometry.ts"
import type { Backend } from "../../backends/log.ts"
import { attachJudges } from "../../faults/judge.ts"
import { type ManualLog, writeBatch } from "../../faults/manual.ts"

const orders = ["session", "total"] as const

export const duplicatesSuite = (backend: Backend): void => {
  describe(`duplicates (${backend.name})`, () => {
    for (const order of orders) {
      const topic = Topic.make("twice", { order })
      const twice = (name: string, run: (log: ManualLog, lanes: LanePort) => Effect.Effect<void>) =>
        it.live(`E10 order ${order}, ${name}: one commit, one acknowledgement, room freed`, () =>
          backend.manual(smallestLog, (log) =>
            Effect.gen(function*() {
              const { port: reader } = yield* log.attach(topic, "start")
              const judges = yield* attachJudges(log, topic, order === "session")
              const { port: lanes } = yield* log.open(topic)
              yield* run(log, lanes)
              yield* settled(log)
              assert.deepStrictEqual(reader.poll(64).map(({ batchSequence }) => batchSequence), [0])
              assert.deepStrictEqual([lanes.committedBatches(), lanes.committedMessages()], [1, 2])
              const [session] = (yield* log.snapshot).sessions
              assert.deepStrictEqual([session?.duplicates, session?.held, session?.purged], [1, 0, 0])
              yield* assertRoom(log, lanes, reader, judges, 1)
            })))

      twice("by two brokers", (_, lanes) =>
        Effect.sync(() => {
          publish(lanes, 0, 0)
          publish(lanes, 1, 0)
        }))

      twice("twice by one broker", (_, lanes) =>
        Effect.sync(() => {
          publish(lanes, 0, 0)
          publish(lanes, 0, 0)
        }))

      twice("after its commit", (log, lanes) =>
        Effect.gen(function*() {
          publish(lanes, 0, 0)
          yield* settled(log)
          assert.strictEqual(lanes.committedBatches(), 1)
          publish(lanes, 1, 0)
        }))

      it.live(`E10 order ${order}, held, by two brokers: one commit when the gap closes`, () =>
        backend.manual(smallestLog, (log) =>
          Effect.gen(function*() {
            const { port: reader } = yield* log.attach(topic, "start")
            const judges = yield* attachJudges(log, topic, order === "session")
            const { port: lanes } = yield* log.open(topic)
            publish(lanes, 0, 1)
            publish(lanes, 1, 1)
            yield* settled(log)
            assert.strictEqual(lanes.committedBatches(), 0)
            publish(lanes, 1, 0)
            yield* settled(log)
            const read = reader.poll(64).map(({ batchSequence }) => batchSequence)
            assert.deepStrictEqual(read, order === "session" ? [0, 1] : [1, 0])
            assert.strictEqual(lanes.committedBatches(), 2)
            yield* assertRoom(log, lanes, reader, judges, 2)
          })))

      it.live(`E10 order ${order}, behind the end of its session: no commit, and the next session has all the room`, () =>
        backend.manual(smallestLog, (log) =>
          Effect.gen(function*() {
            const { port: reader } = yield* log.attach(topic, "start")
            const judges = yield* attachJudges(log, topic, order === "session")
            const former = yield* log.open(topic)
            publish(former.port, 0, 0)
            yield* settled(log)
            assert.isTrue(write(former.port, 0, 0))
            assert.isTrue(write(former.port, 1, 1))
            yield* former.close
            former.port.publish(0)
            former.port.publish(1)
            yield* settled(log)
            assert.strictEqual(former.port.ended(), "closed")
            publish(former.port, 1, 1)
            const { port: lanes } = yield* log.open(topic)
            yield* settled(log)
            assert.strictEqual(reader.poll(64).length, 1)
            assert.strictEqual(former.port.committedBatches(), 1)
            yield* assertRoom(log, lanes, reader, judges, 0, [[former.port.sessionId, 2]])
          })))
    }
  })
}

// --- internal ---

const write = (lanes: LanePort, broker: number, sequence: number): boolean =>
  writeBatch(lanes, broker, { sequence, firstMessage: 2 * sequence, lengths: [30, 30] })

const publish = (lanes: LanePort, broker: number, sequence: number): void => {
  write(lanes, broker, sequence)
  lanes.publish(broker)
}

const settled = (log: ManualLog) =>
  Effect.gen(function*() {
    while (yield* log.step) continue
  })

/** Laps of each lane go through, one batch each: nothing of what was published twice keeps room. */
const assertRoom = Effect.fnUntraced(function*(
  log: ManualLog,
  lanes: LanePort,
  reader: IndexPort,
  judges: Effect.Success<ReturnType<typeof attachJudges>>,
  next: number,
  former: ReadonlyArray<readonly [sessionId: number, records: number]> = []
) {
  const last = next + 3 * smallestLog.brokers * smallestLog.laneSlots
  for (let sequence = next; sequence < last; sequence += 1) {
    reader.release(reader.next())
    judges.see()
    assert.isTrue(write(lanes, sequence % 2, sequence), `no room for batch ${sequence}`)
    lanes.publish(sequence % 2)
    yield* settled(log)
    assert.strictEqual(reader.poll(64).length, 1)
  }
  assert.strictEqual(lanes.committedBatches(), last)
  judges.see()
  judges.agree(new Map([...former, [lanes.sessionId, 2 * last]]))
})

/**
 * Scenarios of `docs/scenarios.md` that a log must pass, over any backend, with two independent judges.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { Diagnostics } from "../../../src/services/Diagnostics.ts"
import { Publisher, type PublisherHandle } from "../../../src/services/Publisher.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { Sequencer } from "../../../src/services/Sequencer.ts"
import { type IndexedBatch, Subscriber } from "../../../src/services/Subscriber.ts"
import { type Backend, Relay, smallGeometry } from "../../backends/log.ts"
import {
  agree,
  agreeOn,
  attachJudges,
  bothJudging as bothJudgingOf,
  type Expected,
  judging,
  sendStamped
} from "../../faults/judge.ts"
import { type ManualLog, writeBatch } from "../../faults/manual.ts"
import { seeded } from "../../processes/seeded.ts"

const Judged = Topic.make("judged")

const bothJudging = (wanted: number, expected?: Expected) => bothJudgingOf(Judged, wanted, expected)

const countsOf = (publishers: ReadonlyArray<PublisherHandle<Uint8Array>>) =>
  new Map(publishers.map((publisher) => [publisher.sessionId, publisher.accepted()]))

/** All have been acknowledged, and both judges have seen it. */
const allAgree = Effect.fnUntraced(function*(
  judges: Effect.Success<ReturnType<typeof bothJudging>>,
  publishers: ReadonlyArray<PublisherHandle<Uint8Array>>
) {
  for (const publisher of publishers) {
    yield* publisher.flush
    assert.strictEqual(publisher.acknowledged(), publisher.accepted())
  }
  yield* agree(judges, countsOf(publishers))
})

const settled = (log: ManualLog) =>
  Effect.gen(function*() {
    while (yield* log.step) continue
  })

export const scenariosSuite = (backend: Backend): void => {
  const provide = (geometry = {}) => Effect.provide(backend.embedded({ geometry: { ...smallGeometry, ...geometry } }))

  describe(`scenarios (${backend.name})`, () => {
    it.live("E01 one session over four brokers: all is acknowledged, each broker has its part, two readers agree", () =>
      Effect.gen(function*() {
        const count = 10_000
        const judges = yield* bothJudging(count)
        const publisher = yield* Publisher.open(Judged)
        yield* sendStamped(publisher, count, () => Effect.void, 128)
        yield* allAgree(judges, [publisher])
        const { brokers, topics } = yield* Diagnostics.use(({ snapshot }) => snapshot)
        const batches = brokers.map(({ frontiers }) => frontiers.ordered)
        assert.isAbove(Math.min(...batches), 0)
        const messages = brokers.reduce((sum, { frontiers }) => sum + frontiers.orderedMessages, 0)
        assert.deepStrictEqual([messages, topics[0]?.committedMessages], [count, count])
      }).pipe(Effect.scoped, provide()))

    it.live("E03 a sequencer that stands still: publishers wait, none drops a record, and all is acknowledged when it goes on", () =>
      Effect.gen(function*() {
        const { pause, resume } = yield* Sequencer
        const count = 3000
        const judges = yield* bothJudging(2 * count)
        const publishers = [yield* Publisher.open(Judged), yield* Publisher.open(Judged)]
        yield* pause
        const sending = yield* Effect.forEach(
          publishers,
          (publisher) => Effect.forkChild(sendStamped(publisher, count, () => Effect.void, 256))
        )
        while (publishers.some((publisher) => publisher.fullEvents() === 0)) yield* Effect.sleep(1)
        for (const publisher of publishers) {
          assert.isBelow(publisher.accepted(), count)
          assert.strictEqual(publisher.acknowledged(), 0)
        }
        yield* resume
        yield* Effect.forEach(sending, Fiber.join)
        yield* allAgree(judges, publishers)
      }).pipe(Effect.scoped, provide()))

    for (const skew of [1, 5, 50]) {
      it.live(`E04 eight sessions whose brokers publish up to ${skew} ms late: held batches all come, each session's in order`, () =>
        Effect.gen(function*() {
          const { snapshot } = yield* Diagnostics
          const [sessions, count] = [8, 300]
          const judges = yield* bothJudging(sessions * count)
          const publishers = yield* Effect.forEach(
            Array.from({ length: sessions }),
            () => Publisher.open(Judged, { skew: `${skew} millis`, batchBytes: 256 })
          )
          yield* Effect.forEach(
            publishers,
            (publisher) => sendStamped(publisher, count, (sent) => sent % 4 === 0 ? Effect.yieldNow : Effect.void),
            { concurrency: "unbounded" }
          )
          yield* allAgree(judges, publishers)
          const counted = (yield* snapshot).sessions
          assert.deepStrictEqual(new Set(counted.map(({ state }) => state)), new Set(["open"]))
          const sum = (of: "duplicates" | "held" | "heldTotal" | "purged") =>
            counted.reduce((total, session) => total + session[of], 0)
          assert.deepStrictEqual([sum("held"), sum("duplicates"), sum("purged")], [0, 0, 0])
          assert.isAbove(sum("heldTotal"), 0)
        }).pipe(Effect.scoped, provide({ clients: 8, indexEntries: 256 })))
    }

    it.live("E07 a gap of one session, however long, delays no batch of another", () =>
      backend.manual(smallGeometry, (log) =>
        Effect.gen(function*() {
          const { port: reader } = yield* log.attach(Judged, "start")
          const judges = yield* attachJudges(log, Judged)
          const { port: gapped } = yield* log.open(Judged)
          const { port: other } = yield* log.open(Judged)
          const lengths = [20]
          writeBatch(gapped, 0, { sequence: 0, firstMessage: 0, lengths })
          for (let sequence = 1; sequence < 8; sequence += 1) {
            writeBatch(gapped, 1, { sequence, firstMessage: sequence, lengths })
          }
          gapped.publish(1)
          for (let sequence = 0; sequence < 500; sequence += 1) {
            const broker = sequence % 4
            assert.isTrue(writeBatch(other, broker, { sequence, firstMessage: sequence, lengths }))
            other.publish(broker)
            yield* settled(log)
            assert.deepStrictEqual([other.committedBatches(), gapped.committedBatches()], [sequence + 1, 0])
            assert.deepStrictEqual(reader.poll(4).map(({ sessionId }) => sessionId), [other.sessionId])
            reader.release(reader.next())
            judges.see()
          }
          gapped.publish(0)
          yield* settled(log)
          assert.strictEqual(gapped.committedBatches(), 8)
          assert.deepStrictEqual(reader.poll(9).map(({ batchSequence }) => batchSequence), [0, 1, 2, 3, 4, 5, 6, 7])
          judges.see()
          judges.agree(new Map([[gapped.sessionId, 8], [other.sessionId, 500]]))
        })))

    it.live("E17 eight publishers at different rates on the same brokers: each is acknowledged exactly its own", () =>
      Effect.gen(function*() {
        const counts = Array.from({ length: 8 }, (_, i) => 40 * (i + 1))
        const total = counts.reduce((sum, count) => sum + count, 0)
        const judges = yield* bothJudging(total)
        // Each comes a little later than the one before it.
        const publishers = yield* Effect.forEach(counts, (count, i) =>
          Effect.gen(function*() {
            yield* Effect.sleep(5 * i)
            const publisher = yield* Publisher.open(Judged)
            const pace = i % 2 === 0 ? Effect.yieldNow : Effect.sleep(1)
            yield* sendStamped(publisher, count, (sent) => sent % (i + 1) === 0 ? pace : Effect.void)
            return publisher
          }), { concurrency: "unbounded" })
        yield* allAgree(judges, publishers)
        for (const [i, publisher] of publishers.entries()) {
          const { acknowledged, byBroker } = publisher.acks()
          assert.deepStrictEqual([acknowledged, byBroker.reduce((a, b) => a + b, 0)], [counts[i], counts[i]])
        }
        const { topics } = yield* Diagnostics.use(({ snapshot }) => snapshot)
        assert.strictEqual(topics[0]?.committedMessages, total)
      }).pipe(Effect.scoped, provide({ clients: 8 })))

    it.live("E18 a slow reader and one that comes late get all that is theirs, over many laps of the lanes", () =>
      Effect.gen(function*() {
        const count = 12_000
        const judges = yield* bothJudging(count)
        const publisher = yield* Publisher.open(Judged)
        const slow = yield* Subscriber.open(Judged, { from: "start", name: "slow" })
        const seenSlowly: Array<number> = []
        const reading = yield* Effect.forkChild(
          slow.recordBatches.pipe(
            Stream.mapEffect((records) => Effect.as(Effect.sleep(1), records)),
            Stream.flatMap(Stream.fromIterable),
            Stream.take(count),
            Stream.runForEach(({ position, sequence }) => Effect.sync(() => seenSlowly.push(position - sequence)))
          ),
          { startImmediately: true }
        )
        yield* sendStamped(publisher, count / 2, () => Effect.void, 256)
        const late = yield* Subscriber.open(Judged, { from: "start", name: "late" })
        const follows = yield* Effect.forkChild(
          late.records.pipe(
            Stream.takeUntil(({ position }) => position === count - 1),
            Stream.map(({ position }) => position),
            Stream.runCollect
          ),
          { startImmediately: true }
        )
        yield* sendStamped(publisher, count / 2, () => Effect.void, 256)
        yield* allAgree(judges, [publisher])
        yield* Fiber.join(reading)
        assert.strictEqual(seenSlowly.length, count)
        assert.isTrue(seenSlowly.every((distance) => distance === 0))
        const positions = yield* Fiber.join(follows)
        assert.deepStrictEqual(positions, positions.map((_, i) => count - positions.length + i))
        assert.isAtLeast(positions.length, count / 2)
      }).pipe(Effect.scoped, provide()))

    it.live("E18 more than 10,000 tiny records in one batch, read in pieces that end in its middle", () =>
      Effect.gen(function*() {
        const count = 10_001
        const judges = yield* bothJudging(count, { bytes: tiny })
        const subscriber = yield* Subscriber.open(Judged, { from: "start" })
        const publisher = yield* Publisher.open(Judged)
        for (let i = 0; i < count; i += 1) assert.isTrue(publisher.offer(Uint8Array.of(i, i >> 8)))
        yield* publisher.flush
        const read: Array<number> = []
        for (const piece of [1, 4999, 5000, 1]) {
          yield* subscriber.records.pipe(
            Stream.take(piece),
            Stream.runForEach(({ position, value }) =>
              Effect.sync(() => {
                assert.strictEqual(position, read.length)
                read.push((value[0] ?? 0) | (value[1] ?? 0) << 8)
              })
            )
          )
        }
        assert.deepStrictEqual(read, Array.from({ length: count }, (_, i) => i))
        yield* agreeOn(judges, count)
        const { topics } = yield* Diagnostics.use(({ snapshot }) => snapshot)
        assert.strictEqual(topics[0]?.committedBatches, 1)
      }).pipe(Effect.scoped, provide({ batchBytes: 32 * 1024, laneBytes: 256 * 1024 })))

    it.live("E20 servers end at random points of random histories: what was believed stays, and held batches come once", () =>
      Effect.gen(function*() {
        for (let seed = 1; seed <= histories; seed += 1) yield* crashing(seeded(seed))
      }).pipe(Effect.provide(backend.relay({ geometry: { ...smallGeometry, clients: 3, topics: histories } }))))
  })
}

// --- internal ---

/** Of records that are their position, in two bytes. */
const tiny = ({ messageCount, payload, position }: IndexedBatch): void => {
  for (let i = 0; i < messageCount; i += 1) {
    assert.strictEqual((payload[2 * i] ?? 0) | (payload[2 * i + 1] ?? 0) << 8, position + i)
  }
}

const histories = 6
let crashed = 0

/** Plays a random history. The model is what each session has sent: the order has all of it, once, also when servers or publishers ended. */
const crashing = (random: (below: number) => number) =>
  Effect.scoped(Effect.gen(function*() {
    const { end, start } = yield* Relay
    const { snapshot } = yield* Diagnostics
    const topic = Topic.make(`crashing-${crashed += 1}`)
    const [count, kinds] = [120, 12]
    const judges = [yield* judging(topic, 3 * count, "first"), yield* judging(topic, 3 * count, "second")]
    const publishers = yield* Effect.forEach([0, 1, 2], (skew) =>
      Publisher.open(topic, { skew: `${skew} millis`, batchBytes: 256 }))
    const left = publishers.map(() =>
      count
    )
    while (left.some((records) => records > 0)) {
      const chosen = random(3)
      const [publisher, step] = [publishers[chosen]!, random(kinds)]
      const sent = Math.min(left[chosen]!, random(8))
      left[chosen]! -= sent
      yield* sendStamped(publisher, sent)
      if (step === 0) yield* publisher.flush
      if (step > 2) continue
      const believed = publishers.map((each) => each.acknowledged())
      yield* end
      yield* start
      const { sessions, topics } = yield* snapshot
      const acknowledged = publishers.map(({ sessionId }) => {
        const found = sessions.find((session) => session.sessionId === sessionId)
        assert.strictEqual(found?.state, "open")
        return found?.acks.acknowledged ?? 0
      })
      for (const [i, records] of believed.entries()) assert.isAtLeast(acknowledged[i]!, records)
      const committed = topics.find(({ name }) => name === topic.name)?.committedMessages
      assert.isAtLeast(committed ?? 0, believed.reduce((sum, records) => sum + records, 0))
    }
    yield* allAgree(judges, publishers)
  }))

/**
 * The promises of order `none`, over any backend: each lane in its order, read without the sequencer.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Diagnostics } from "../../../src/services/Diagnostics.ts"
import { Publisher, type PublisherHandle } from "../../../src/services/Publisher.ts"
import { RegionError } from "../../../src/services/schema/RegionError.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { Sequencer } from "../../../src/services/Sequencer.ts"
import { type IndexedBatch, Subscriber } from "../../../src/services/Subscriber.ts"
import { type Backend, type BackendOptions, bytesOf, smallGeometry, textOf } from "../../backends/log.ts"

const Ticks = Topic.make("ticks", { order: "none" })
const Lines = Topic.make("lines")

/** Sends one record per batch. */
const sendApart = (publisher: PublisherHandle<Uint8Array>, texts: ReadonlyArray<string>) =>
  Effect.forEach(texts, (text) => Effect.andThen(publisher.send(bytesOf(text)), Effect.sync(() => publisher.seal())))

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `${from + i}`)

const snapshot = Diagnostics.use((diagnostics) => diagnostics.snapshot)

/** Waits for the log's own work, which needs no time of the test's: polls until `holds`. */
const until = (holds: Effect.Effect<boolean, never, Diagnostics>) =>
  Effect.repeat(Effect.andThen(Effect.sleep(1), holds), { until: (held) => held }).pipe(
    Effect.timeoutOrElse({ duration: "5 seconds", orElse: () => Effect.die("it never came about") })
  )

const openSessions = Effect.map(snapshot, ({ sessions }) => sessions.filter(({ state }) => state === "open").length)

/** Checks that each lane's batches are in the order of their writing, and gives each session's records in order. */
const sessionsIn = (batches: ReadonlyArray<IndexedBatch>): ReadonlyMap<number, ReadonlyArray<string>> => {
  const last = new Map<string, number>()
  const texts = new Map<number, Array<string>>()
  for (const { batchSequence, broker, firstMessage, messageCount, payload, sessionId } of batches) {
    const lane = `${sessionId}/${broker}`
    assert.isAbove(batchSequence, last.get(lane) ?? -1, `lane ${lane}`)
    last.set(lane, batchSequence)
    assert.strictEqual(messageCount, 1)
    const session = texts.get(sessionId) ?? []
    assert.isUndefined(session[firstMessage], `record ${firstMessage} of session ${sessionId} came twice`)
    session[firstMessage] = textOf(payload)
    texts.set(sessionId, session)
  }
  return texts
}

export const unorderedSuite = (backend: Backend): void => {
  const provide = (options?: BackendOptions) =>
    Effect.provide(backend.embedded({ geometry: smallGeometry, ...options }))

  describe(`order none (${backend.name})`, () => {
    it.live("has no acknowledgement: its declaration with one is refused", () =>
      Effect.gen(function*() {
        const Acknowledged = Topic.make("ticks", { order: "none", ack: "ordered" })
        for (const opening of [Publisher.open(Acknowledged), Subscriber.open(Acknowledged)]) {
          const error = yield* Effect.flip(
            opening as Effect.Effect<unknown, Error, Publisher | Subscriber | Scope.Scope>
          )
          assert.match(error.message, /topic "ticks": order "none" has no acknowledgement "ordered".*use ack "none"/)
        }
        assert.deepStrictEqual([Ticks.ack, Topic.make("x").ack], ["none", "ordered"])
        yield* Publisher.open(Ticks)
        const mismatch = yield* Effect.flip(Publisher.open(Topic.make("ticks")))
        assert.match(mismatch.message, /is declared as order "none", ack "none", not as order "session"/)
      }).pipe(Effect.scoped, provide()))

    it.live("has no positions to begin at: a position that is asked for is refused by name", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Subscriber.open(Ticks, { from: { position: 3 } }))
        assert.isTrue(error instanceof RegionError && error.fault === "invalid")
        assert.match(error.message, /from.position cannot be 3 \(it must be "start" or "end": topic "ticks"/)
        assert.deepStrictEqual((yield* snapshot).topics, [])
      }).pipe(Effect.scoped, provide()))

    it.live("delivers every record of every session once, each lane in its order, to every subscriber", () =>
      Effect.gen(function*() {
        const subscribers = yield* Effect.forEach([1, 2], () => Subscriber.open(Ticks))
        const publishers = yield* Effect.forEach([0, 1, 2], () => Publisher.open(Ticks, { skew: "2 millis" }))
        const reading = yield* Effect.forEach(subscribers, (subscriber) =>
          Effect.forkChild(subscriber.batches.pipe(
            Stream.map((batch) => ({ ...batch, payload: batch.payload.slice() })),
            Stream.take(600),
            Stream.runCollect
          )))
        yield* Effect.forEach(
          publishers,
          (publisher, p) => Effect.andThen(sendApart(publisher, numbers(200).map((i) => `${p}/${i}`)), publisher.flush),
          {
            concurrency: "unbounded"
          }
        )
        for (const batches of yield* Effect.forEach(reading, Fiber.join)) {
          assert.deepStrictEqual(batches.map(({ index, position }) => [index, position]), batches.map((_, i) => [i, i]))
          const sessions = sessionsIn(batches)
          for (const [p, { sessionId }] of publishers.entries()) {
            assert.deepStrictEqual(sessions.get(sessionId), numbers(200).map((i) => `${p}/${i}`))
          }
        }
      }).pipe(Effect.scoped, provide()))

    it.live("carries values of a schema, in streams that number the records as they find them", () =>
      Effect.gen(function*() {
        const Numbers = Topic.make("numbers", { order: "none", schema: Schema.Struct({ n: Schema.Int }) })
        const subscriber = yield* Subscriber.open(Numbers)
        const publisher = yield* Publisher.open(Numbers)
        yield* publisher.sendAll(numbers(40).map((text) => ({ n: Number(text) })))
        yield* publisher.flush
        const first = yield* subscriber.records.pipe(Stream.take(7), Stream.runCollect)
        const rest = yield* subscriber.records.pipe(Stream.take(33), Stream.runCollect)
        const records = [...first, ...rest]
        assert.deepStrictEqual(records.map(({ position }) => position), records.map((_, i) => i))
        assert.deepStrictEqual(
          records.map(({ sequence, value }) => [sequence, value.n]).toSorted(([a = 0], [b = 0]) => a - b),
          records.map((_, i) => [i, i])
        )
        assert.deepStrictEqual([subscriber.position(), subscriber.committedMessages()], [40, 40])
      }).pipe(Effect.scoped, provide()))

    it.live("delivers without the sequencer", () =>
      Effect.gen(function*() {
        const sequencer = yield* Sequencer
        const publisher = yield* Publisher.open(Ticks)
        const subscriber = yield* Subscriber.open(Ticks)
        yield* sequencer.pause
        const reading = yield* Effect.forkChild(
          subscriber.records.pipe(Stream.take(10), Stream.runCollect),
          { startImmediately: true }
        )
        yield* sendApart(publisher, numbers(10))
        const texts = (yield* Fiber.join(reading)).map(({ value }) => textOf(value))
        assert.deepStrictEqual(texts.toSorted(), numbers(10))
        yield* sequencer.resume
      }).pipe(Effect.scoped, provide()))

    it.live("a flush only publishes, and nothing counts as acknowledged or as waiting", () =>
      Effect.gen(function*() {
        const sequencer = yield* Sequencer
        const publisher = yield* Publisher.open(Ticks)
        yield* sequencer.pause
        yield* publisher.send(bytesOf("x"))
        yield* publisher.flush
        yield* publisher.awaitAcknowledged(1)
        const { sessionId } = publisher
        assert.deepStrictEqual([publisher.accepted(), publisher.acknowledged()], [1, 0])
        const { brokers, ...acks } = { brokers: smallGeometry.brokers, ...publisher.acks() }
        const none = Array.from({ length: brokers! }, () => 0)
        assert.deepStrictEqual(acks, {
          sessionId,
          topic: "ticks",
          published: 1,
          acknowledged: 0,
          byBroker: none,
          waitingOn: undefined
        })
        yield* sequencer.resume
      }).pipe(Effect.scoped, provide()))

    it.live("from the start, a subscriber gets what the lanes of open sessions keep; from the end, what comes", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Ticks)
        yield* sendApart(publisher, numbers(8))
        const start = yield* Subscriber.open(Ticks, { untilEnd: true })
        const end = yield* Subscriber.open(Ticks, { from: "end", untilEnd: true })
        yield* sendApart(publisher, numbers(4, 8))
        const later = yield* Publisher.open(Ticks)
        yield* sendApart(later, ["later"])
        const seen = (subscriber: typeof start) =>
          Effect.map(Stream.runCollect(subscriber.records), (records) => records.map(({ value }) => textOf(value)))
        const sorted = (texts: ReadonlyArray<string>) => texts.toSorted()
        assert.deepStrictEqual(sorted(yield* seen(start)), sorted([...numbers(12), "later"]))
        assert.deepStrictEqual(sorted(yield* seen(end)), sorted([...numbers(4, 8), "later"]))
      }).pipe(Effect.scoped, provide()))

    it.live("without subscribers publishers never wait: the oldest batches of each lane go, and the session's all with it", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.fork(yield* Scope.Scope)
        const publisher = yield* Publisher.open(Ticks).pipe(Scope.provide(scope))
        yield* sendApart(publisher, numbers(500))
        const subscriber = yield* Subscriber.open(Ticks, { untilEnd: true })
        const batches = yield* Stream.runCollect(
          Stream.map(subscriber.batches, (batch) => ({ ...batch, payload: batch.payload.slice() }))
        )
        assert.isTrue(batches.length >= 16 && batches.length <= 64, `${batches.length} batches`)
        sessionsIn(batches)
        // A batch goes to the next broker that has room, so which broker has it is not known: but the newest of all lanes are
        // there, down to the oldest that each of them keeps.
        const oldest = [0, 1, 2, 3].map((broker) =>
          batches.find((batch) => batch.broker === broker)?.batchSequence ?? 500
        )
        const since = Math.max(...oldest)
        const kept = batches.map(({ batchSequence }) => batchSequence).filter((sequence) => sequence >= since)
        assert.deepStrictEqual(kept.toSorted((a, b) => a - b), numbers(500 - since, since).map(Number))
        yield* subscriber.pull
        yield* Scope.close(scope, Exit.void)
        yield* until(Effect.map(openSessions, (open) => open === 0))
        const late = yield* Subscriber.open(Ticks, { untilEnd: true })
        assert.deepStrictEqual(yield* late.pull, [])
      }).pipe(Effect.scoped, provide()))

    it.live("a subscriber that has not released its batches holds publishers up, and is named", () =>
      Effect.gen(function*() {
        const sequencer = yield* Sequencer
        const stalled = yield* Effect.forkChild(
          sequencer.events.pipe(
            Stream.filter(({ _tag }) => _tag === "ReaderStalled"),
            Stream.take(1),
            Stream.runCollect
          ),
          { startImmediately: true }
        )
        const subscriber = yield* Subscriber.open(Ticks, { name: "sleeper" })
        const publisher = yield* Publisher.open(Ticks, { roomDeadline: "50 millis" })
        const error = yield* Effect.flip(Effect.forever(sendApart(publisher, ["x".repeat(4000)])))
        assert.isTrue(error._tag === "Backpressure" && error.waitingOnOwnSubscriber, error.message)
        assert.include(error.message, "subscriber \"sleeper\"")
        const [event] = yield* Fiber.join(stalled)
        assert.isTrue(event?._tag === "ReaderStalled" && event.reader === "sleeper" && event.behindBatches > 0)
        const accepted = publisher.accepted()
        assert.isAbove(accepted, 4 * 8)
        let seen = 0
        while (seen < accepted) seen += (yield* subscriber.pull).length
        subscriber.release()
        yield* sendApart(publisher, ["room again"])
        const [again] = yield* subscriber.pull
        assert.strictEqual(textOf(again?.payload ?? new Uint8Array()), "room again")
      }).pipe(Effect.scoped, provide({ serve: { stallAfter: "20 millis" } })))

    it.live("a subscriber that leaves holds nothing", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.fork(yield* Scope.Scope)
        yield* Subscriber.open(Ticks).pipe(Scope.provide(scope))
        const publisher = yield* Publisher.open(Ticks, { roomDeadline: "20 millis" })
        yield* Effect.flip(Effect.forever(sendApart(publisher, ["x".repeat(4000)])))
        yield* Scope.close(scope, Exit.void)
        yield* sendApart(publisher, numbers(200))
      }).pipe(Effect.scoped, provide()))

    it.live("lent bytes stay as they are until they are released", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Ticks)
        const publisher = yield* Publisher.open(Ticks, { roomDeadline: "50 millis" })
        yield* sendApart(publisher, ["kept"])
        const [kept] = yield* subscriber.pull
        yield* Effect.flip(Effect.forever(sendApart(publisher, ["x".repeat(4000)])))
        assert.strictEqual(textOf(kept?.payload ?? new Uint8Array()), "kept")
      }).pipe(Effect.scoped, provide()))

    it.live("a session that has closed ends when every attached subscriber has taken its records, and not before", () =>
      Effect.gen(function*() {
        const [first, second] = [yield* Subscriber.open(Ticks), yield* Subscriber.open(Ticks)]
        yield* Effect.scoped(Effect.gen(function*() {
          const publisher = yield* Publisher.open(Ticks)
          yield* sendApart(publisher, numbers(12))
        }))
        const take = (subscriber: typeof first) =>
          Effect.gen(function*() {
            const texts: Array<string> = []
            while (texts.length < 12) texts.push(...(yield* subscriber.pull).map(({ payload }) => textOf(payload)))
            subscriber.release()
            return texts.toSorted()
          })
        const all = numbers(12).toSorted()
        assert.deepStrictEqual(yield* take(first), all)
        yield* Effect.sleep(20)
        assert.strictEqual(yield* openSessions, 1)
        assert.deepStrictEqual(yield* take(second), all)
        yield* until(Effect.map(openSessions, (open) => open === 0))
      }).pipe(Effect.scoped, provide()))

    it.live("an opening that finds only closed sessions names the subscriber that has not taken their records", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Ticks, { name: "sleeper" })
        const clients = smallGeometry.clients!
        for (let i = 0; i < clients; i += 1) {
          yield* Effect.scoped(Effect.flatMap(Publisher.open(Ticks), (publisher) => sendApart(publisher, numbers(4))))
        }
        for (const topic of [Ticks, Lines]) {
          const error = yield* Effect.flip(Publisher.open(topic, { openDeadline: "200 millis" }))
          assert.isTrue(error instanceof RegionError && error.fault === "full", error.message)
          assert.deepStrictEqual((error as RegionError).sizes, ["clients"])
          assert.include(
            error.message,
            `no session slot came free within 200.0 ms: ${clients} of the ${clients} are taken`
          )
          assert.include(
            error.message,
            `closed sessions of topic "ticks" whose records subscriber "sleeper" (pid ${process.pid}, this process)`
          )
          assert.include(error.message, "take and release them, or close that subscriber")
        }
        let taken = 0
        while (taken < 4 * clients) taken += (yield* subscriber.pull).length
        subscriber.release()
        yield* Publisher.open(Lines)
      }).pipe(Effect.scoped, provide()))

    it.live("sessions of two topics in the same lanes, one after the other and at once: their records are never mixed", () =>
      Effect.gen(function*() {
        const ticks = yield* Subscriber.open(Ticks)
        const lines = yield* Subscriber.open(Lines)
        const seen = yield* Effect.forEach([ticks, lines], (subscriber) =>
          Effect.forkChild(subscriber.records.pipe(
            Stream.map(({ value }) => textOf(value)),
            Stream.take(300),
            Stream.runCollect
          )))
        for (let round = 0; round < 30; round += 1) {
          const sending = ([Ticks, Lines] as const).map((topic) =>
            Effect.scoped(Effect.gen(function*() {
              const publisher = yield* Publisher.open(topic)
              yield* sendApart(publisher, numbers(10).map((i) => `${topic.name} ${round}/${i}`))
            }))
          )
          yield* Effect.all(sending, { concurrency: round % 2 === 0 ? 1 : 2 })
        }
        const [ofTicks, ofLines] = yield* Effect.forEach(seen, Fiber.join)
        const all = (topic: string) =>
          numbers(30).flatMap((round) => numbers(10).map((i) => `${topic} ${round}/${i}`)).toSorted()
        assert.deepStrictEqual(ofTicks?.toSorted(), all("ticks"))
        assert.deepStrictEqual(ofLines?.toSorted(), all("lines"))
      }).pipe(Effect.scoped, provide({ geometry: { ...smallGeometry, clients: 2 } })))

    it.live("laps its lanes many times without a loss, at any size of record", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Ticks)
        const publisher = yield* Publisher.open(Ticks)
        const records = Array.from({ length: 2000 }, (_, i) => new Uint8Array((i * 37) % 4000).fill(i % 251))
        const reading = yield* Effect.forkChild(
          subscriber.records.pipe(Stream.take(records.length), Stream.runCollect)
        )
        yield* publisher.sendAll(records)
        yield* publisher.flush
        const seen = (yield* Fiber.join(reading)).toSorted((a, b) => a.sequence - b.sequence)
        assert.deepStrictEqual(seen.map(({ sequence }) => sequence), records.map((_, i) => i))
        assert.isTrue(seen.every(({ value }, i) => {
          const record = records[i]!
          return value.length === record.length && value.every((byte) => byte === i % 251)
        }))
      }).pipe(Effect.scoped, provide()))

    it.live("reports how far each lane is taken, and what each subscriber has left", () =>
      Effect.gen(function*() {
        const fast = yield* Subscriber.open(Ticks, { name: "fast" })
        yield* Subscriber.open(Ticks, { name: "slow" })
        const publisher = yield* Publisher.open(Ticks)
        yield* sendApart(publisher, numbers(8))
        let taken = 0
        while (taken < 8) taken += (yield* fast.pull).length
        fast.release()
        const told = Effect.map(snapshot, ({ sessions: [session], topics: [topic] }) => ({
          order: [topic?.order, topic?.ack, topic?.committedBatches, topic?.committedMessages],
          readers: topic?.readers.map(({ behindBatches, cursor, name }) => [name, cursor, behindBatches]),
          lanes: session?.lanes.map((
            { delivered, ordered, published, scanned }
          ) => [published, scanned, ordered, delivered])
        }))
        yield* until(Effect.map(told, ({ readers }) => readers?.[1]?.[2] === 8 && readers[0]?.[2] === 0))
        assert.deepStrictEqual(yield* told, {
          order: ["none", "none", 0, 0],
          readers: [["fast", 8, 0], ["slow", 0, 8]],
          lanes: [[2, 2, 0, 0], [2, 2, 0, 0], [2, 2, 0, 0], [2, 2, 0, 0]]
        })
        assert.deepStrictEqual(publisher.readers().map(({ name }) => name), ["fast", "slow"])
      }).pipe(Effect.scoped, provide()))
  })
}

/**
 * Durable topics over any backend: what their publishers and subscribers see, and what is kept for replicas. Here a replica
 * is a reader that the test moves by hand: what it releases is on its disk.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { IndexPort } from "../../../src/layers/ports/IndexPort.ts"
import { ReplicatedLog } from "../../../src/layers/ports/ReplicatedLog.ts"
import { Diagnostics } from "../../../src/services/Diagnostics.ts"
import { Publisher, type PublisherHandle } from "../../../src/services/Publisher.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { Sequencer } from "../../../src/services/Sequencer.ts"
import { type OpenSubscriberError, Subscriber } from "../../../src/services/Subscriber.ts"
import { type Backend, bytesOf, Relay, smallGeometry, textOf } from "../../backends/log.ts"

const Orders = Topic.make("orders", { ack: "durable" })

const attach = (
  name: string,
  { key = 1, position = 0, required = 1, topic = Orders } = {}
): Effect.Effect<IndexPort, OpenSubscriberError, ReplicatedLog | Scope.Scope> =>
  ReplicatedLog.use((log) => log.attach(topic, { name, position, role: { key, required } }))

/** Waits until so many batches are committed, and releases them, as if they were synced. */
const sync = (replica: IndexPort, batches: number) =>
  Effect.gen(function*() {
    yield* replica.waiter.until((): true | undefined => replica.committed() >= batches ? true : undefined)
    while (replica.next() < batches) replica.poll(batches - replica.next())
    replica.release(batches)
  })

/** Sends records, each in a batch of its own. The publisher looks after each of them: so it can tell them apart. */
const sendBatches = (publisher: PublisherHandle<Uint8Array>, replica: IndexPort, count: number) =>
  Effect.gen(function*() {
    const committed = () => publisher.acks().byBroker.reduce((sum, messages) => sum + messages, 0)
    for (let i = 0; i < count; i += 1) {
      yield* publisher.send(bytesOf(`r${publisher.accepted()}`))
      publisher.seal()
      yield* replica.waiter.until((): true | undefined => committed() === publisher.accepted() ? true : undefined)
      publisher.acknowledged()
    }
  })

const durabilityOf = (name: string) =>
  Effect.map(
    Diagnostics.use(({ snapshot }) => snapshot),
    ({ topics }) => topics.find((topic) => topic.name === name)?.durability
  )

const stateOf = (name: string) =>
  Effect.map(Diagnostics.use(({ snapshot }) => snapshot), ({ topics }) => topics.find((topic) => topic.name === name)!)

/** Runs until the publisher's lanes or the index are full: what has to go for more room is not on a replica's disk. */
const fill = (publisher: PublisherHandle<Uint8Array>) =>
  Effect.gen(function*() {
    for (let sent = 0;; sent += 1) {
      const failed = yield* Effect.flip(publisher.send(new Uint8Array(3000))).pipe(
        Effect.timeoutOption("20 seconds"),
        Effect.catch(() => Effect.succeedNone)
      )
      if (failed._tag === "Some") return { sent, failed: failed.value }
    }
  })

export const durableSuite = (backend: Backend): void => {
  const provide = Effect.provide(backend.replicated({ geometry: smallGeometry }))

  describe(`durable topics (${backend.name})`, () => {
    it.live("nothing is acknowledged without a replica, and the error says so", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Orders, { ackDeadline: "200 millis" })
        const subscriber = yield* Subscriber.open(Orders)
        yield* publisher.send(bytesOf("a"))
        const late = yield* Effect.flip(publisher.flush)
        assert.isTrue(late._tag === "AckTimeout", late.message)
        assert.include(late.message, "no replica is attached (start the server with --replica DIR)")
        assert.strictEqual(publisher.acknowledged(), 0)
        // It is committed and can be read.
        const [batch] = yield* subscriber.pull
        assert.strictEqual(batch && textOf(batch.payload), "a")
        const durability = yield* durabilityOf("orders")
        assert.deepStrictEqual(durability, { required: 1, batches: undefined, records: undefined, replicas: [] })
        assert.deepStrictEqual(yield* Subscriber.bounds(Orders), { start: 0, end: 1, durable: undefined })
      }).pipe(Effect.scoped, provide))

    it.live("a record is acknowledged once the replica has released its batch, and not before", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Orders)
        const replica = yield* attach("disk")
        yield* sendBatches(publisher, replica, 3)
        assert.strictEqual(publisher.acknowledged(), 0)
        const flushing = yield* Effect.forkChild(publisher.flush)
        yield* sync(replica, 2)
        yield* publisher.awaitAcknowledged(1)
        assert.isUndefined(flushing.pollUnsafe())
        yield* sync(replica, 3)
        yield* Fiber.join(flushing)
        assert.strictEqual(publisher.acknowledged(), 3)
        const durability = yield* durabilityOf("orders")
        assert.deepInclude(durability, { required: 1, batches: 3, records: 3 })
        assert.deepStrictEqual(durability?.replicas.map(({ name, cursor, replica }) => [name, cursor, replica]), [[
          "disk",
          3,
          1
        ]])
        assert.deepStrictEqual(yield* Subscriber.bounds(Orders), { start: 0, end: 3, durable: 3 })
      }).pipe(Effect.scoped, provide))

    it.live("a publisher that never asked says what is durable when it asks at last, though more is committed by then", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Orders)
        const replica = yield* attach("disk")
        yield* publisher.send(bytesOf("a"))
        publisher.seal()
        yield* sync(replica, 1)
        yield* publisher.send(bytesOf("b"))
        publisher.seal()
        yield* replica.waiter.until((): true | undefined => replica.committed() === 2 ? true : undefined)
        assert.strictEqual(publisher.acknowledged(), 1)
      }).pipe(Effect.scoped, provide))

    it.live("a replica that holds up publishers is told as one, not as a subscriber", () =>
      Effect.gen(function*() {
        const stalled = yield* Effect.forkChild(
          Sequencer.use(({ events }) =>
            events.pipe(Stream.filter(({ _tag }) => _tag === "ReaderStalled"), Stream.take(1), Stream.runCollect)
          ),
          { startImmediately: true }
        )
        const publisher = yield* Publisher.open(Orders, { roomDeadline: "10 millis" })
        yield* attach("disk")
        yield* Effect.ignore(Effect.forever(publisher.send(new Uint8Array(3000))))
        const [event] = yield* Fiber.join(stalled)
        assert.deepInclude(event, { _tag: "ReaderStalled", topic: "orders", reader: "disk", isReplica: true })
      }).pipe(Effect.scoped, provide))

    it.live("it waits for as many replicas as the server requires: readers of one replica count once", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Orders, { ackDeadline: "200 millis" })
        const first = yield* attach("disk a", { key: 1, required: 2 })
        yield* sendBatches(publisher, first, 2)
        yield* sync(first, 2)
        const again = yield* attach("disk a", { key: 1, required: 2, position: 2 })
        const alone = yield* Effect.flip(publisher.flush)
        assert.include(alone.message, "1 of 2 required replicas is attached: \"disk a\"")
        assert.strictEqual(publisher.acknowledged(), 0)
        again.release(2)
        yield* Effect.scoped(Effect.gen(function*() {
          const second = yield* attach("disk b", { key: 2, required: 2 })
          yield* sync(second, 1)
          yield* publisher.awaitAcknowledged(1)
          const behind = yield* Effect.flip(publisher.flush)
          assert.match(
            behind.message,
            /replica "disk b" \(pid \d+\) is 1 batch behind/
          )
        }))
        // What was durable stays so when a replica leaves; nothing more becomes durable.
        assert.strictEqual(publisher.acknowledged(), 1)
        assert.strictEqual((yield* durabilityOf("orders"))?.batches, undefined)
        const back = yield* attach("disk b", { key: 2, required: 2, position: 1 })
        assert.strictEqual(publisher.acknowledged(), 1)
        yield* sync(back, 2)
        yield* publisher.flush
        assert.strictEqual(publisher.acknowledged(), 2)
      }).pipe(Effect.scoped, provide))

    it.live("as many replicas as the server was told must have a record, also when those attached say fewer", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Orders, { ackDeadline: "200 millis" })
        yield* publisher.send(bytesOf("r0"))
        assert.include((yield* Effect.flip(publisher.flush)).message, "none of 2 required replicas is attached")
        const first = yield* attach("disk a", { key: 1 })
        yield* sendBatches(publisher, first, 1)
        yield* sync(first, 2)
        assert.include(
          (yield* Effect.flip(publisher.flush)).message,
          "1 of 2 required replicas is attached: \"disk a\""
        )
        assert.deepInclude(yield* durabilityOf("orders"), { required: 2, batches: undefined })
        yield* Effect.scoped(Effect.gen(function*() {
          yield* sync(yield* attach("disk b", { key: 2 }), 2)
          yield* publisher.flush
        }))
        yield* sendBatches(publisher, first, 1)
        yield* sync(first, 3)
        assert.include(
          (yield* Effect.flip(publisher.flush)).message,
          "1 of 2 required replicas is attached: \"disk a\""
        )
        assert.strictEqual(publisher.acknowledged(), 2)
      }).pipe(
        Effect.scoped,
        Effect.provide(backend.replicated({ geometry: smallGeometry, serve: { durableCopies: 2 } }))
      ))

    it.live("what no replica has is not dropped for room: the publisher learns that none is attached", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Orders, { roomDeadline: "300 millis" })
        yield* Effect.scoped(Effect.gen(function*() {
          const replica = yield* attach("disk")
          yield* sendBatches(publisher, replica, 5)
          yield* sync(replica, 4)
          yield* publisher.awaitAcknowledged(4)
        }))
        const { failed } = yield* fill(publisher)
        assert.isTrue(failed._tag === "Backpressure", failed.message)
        assert.include(failed.message, "no replica is attached (start the server with --replica DIR)")
        const { trimmedBatches } = yield* stateOf("orders")
        assert.isAtMost(trimmedBatches, 4)
        // A replica that is there again has the rest, and then there is room.
        const replica = yield* attach("disk", { position: 4 })
        const { committedBatches } = yield* stateOf("orders")
        yield* sync(replica, committedBatches)
        yield* publisher.send(new Uint8Array(3000))
      }).pipe(Effect.scoped, provide))

    it.live("a replica that stands still holds publishers up, by its name; other topics are not concerned", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Orders, { roomDeadline: "300 millis" })
        yield* attach("disk")
        const { failed } = yield* fill(publisher)
        assert.match(failed.message, /waiting on replica "disk"/)
        const Other = Topic.make("other")
        const other = yield* Publisher.open(Other)
        for (let i = 0; i < 200; i += 1) yield* other.send(new Uint8Array(3000))
        yield* other.flush
        assert.isAbove((yield* stateOf("other")).trimmedBatches, 0)
      }).pipe(Effect.scoped, provide))

    it.live("a replica does not attach where memory no longer holds its position", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Orders)
        const replica = yield* attach("disk a")
        for (let i = 0; i < 120; i += 1) {
          yield* sendBatches(publisher, replica, 1)
          yield* sync(replica, i + 1)
        }
        yield* publisher.flush
        const { trimmedBatches } = yield* stateOf("orders")
        assert.isAbove(trimmedBatches, 0)
        const lapped = yield* Effect.flip(attach("disk b", { key: 2, position: trimmedBatches - 1 }))
        assert.isTrue(lapped._tag === "PositionTrimmed" && lapped.start === trimmedBatches, lapped.message)
        const joined = yield* attach("disk b", { key: 2, position: 119 })
        assert.strictEqual(joined.poll(10)[0]?.position, 119)
      }).pipe(Effect.scoped, provide))

    it.live("replicas are no subscribers: a publisher does not count them", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Orders)
        yield* attach("disk")
        assert.deepStrictEqual(publisher.readers(), [])
        yield* Subscriber.open(Orders, { name: "reader" })
        yield* publisher.awaitReaders(1)
        assert.deepStrictEqual(publisher.readers().map(({ name }) => name), ["reader"])
        const { readers } = yield* stateOf("orders")
        assert.deepStrictEqual(readers.map(({ name, replica }) => [name, replica]), [["disk", 1], ["reader", 0]])
      }).pipe(Effect.scoped, provide))

    it.live("a subscriber with durable isolation sees only what is durable", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Orders)
        const subscriber = yield* Subscriber.open(Orders, { isolation: "durable" })
        const replica = yield* attach("disk")
        yield* sendBatches(publisher, replica, 3)
        assert.deepStrictEqual(subscriber.poll(), [])
        assert.strictEqual(subscriber.committedMessages(), 0)
        const pulling = yield* Effect.forkChild(subscriber.pull, { startImmediately: true })
        yield* sync(replica, 2)
        const texts = (yield* Fiber.join(pulling)).map(({ payload }) => textOf(payload))
        assert.deepStrictEqual(texts, ["r0", "r1"])
        assert.deepStrictEqual(subscriber.poll(), [])
        assert.strictEqual(subscriber.committedMessages(), 2)
        yield* sync(replica, 3)
        assert.deepStrictEqual((yield* subscriber.pull).map(({ payload }) => textOf(payload)), ["r2"])
        const refused = yield* Effect.flip(Subscriber.open(Topic.make("plain"), { isolation: "durable" }))
        assert.isTrue(refused._tag === "RegionError" && refused.fault === "invalid", refused.message)
      }).pipe(Effect.scoped, provide))

    it.live("what a subscriber has seen durable stays so when the replica leaves", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Orders)
        const subscriber = yield* Subscriber.open(Orders, { isolation: "durable", untilEnd: true })
        yield* Effect.scoped(Effect.gen(function*() {
          const replica = yield* attach("disk")
          yield* sendBatches(publisher, replica, 3)
          yield* sync(replica, 2)
          assert.strictEqual(subscriber.committedMessages(), 2)
        }))
        assert.strictEqual(subscriber.committedMessages(), 2)
        assert.deepStrictEqual((yield* subscriber.pull).map(({ payload }) => textOf(payload)), ["r0", "r1"])
        assert.deepStrictEqual(yield* subscriber.pull, [])
      }).pipe(Effect.scoped, provide))

    it.live("a publisher with an identity that has nothing more to send waits until what it had committed is durable", () =>
      Effect.gen(function*() {
        yield* Effect.scoped(Publisher.open(Orders))
        const replica = yield* attach("disk")
        const opened = Publisher.open(Orders, { identity: "till", ackDeadline: "100 millis" })
        yield* Effect.scoped(Effect.flatMap(opened, (publisher) => sendBatches(publisher, replica, 2)))
        const publisher = yield* opened
        assert.deepStrictEqual([publisher.committed, publisher.acknowledged()], [2, 0])
        const late = yield* Effect.flip(publisher.flush)
        assert.match(late.message, /replica "disk" \(pid \d+\) is 2 batches behind/)
        yield* sync(replica, 1)
        assert.strictEqual((yield* Effect.flip(publisher.flush))._tag, "AckTimeout")
        yield* sync(replica, 2)
        yield* publisher.flush
        // Later ones wait for their own records alone.
        yield* sendBatches(publisher, replica, 1)
        assert.strictEqual((yield* Effect.flip(publisher.flush))._tag, "AckTimeout")
        yield* sync(replica, 3)
        yield* publisher.flush
        assert.strictEqual(publisher.acknowledged(), 1)
      }).pipe(Effect.scoped, provide))

    it.live("a batch names its publisher's identity, and where it stands among that identity's records", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Orders)
        for (const count of [2, 3]) {
          yield* Effect.scoped(Effect.gen(function*() {
            const publisher = yield* Publisher.open(Orders, { identity: "till" })
            for (let i = 0; i < count; i += 1) yield* publisher.send(bytesOf("x"))
            publisher.seal()
          }))
        }
        const plain = yield* Publisher.open(Orders)
        yield* plain.send(bytesOf("x"))
        const found = []
        while (found.length < 3) found.push(...(yield* subscriber.pull).map(({ identity }) => identity))
        assert.deepStrictEqual(found, [
          { name: "till", record: 0, incarnation: 1 },
          { name: "till", record: 2, incarnation: 2 },
          undefined
        ])
      }).pipe(Effect.scoped, provide))

    it.live("a restored topic goes on at its base, with its identities and its clock", () =>
      Effect.gen(function*() {
        const { restoreIdentity, restoreTopic, topics } = yield* ReplicatedLog
        const orderedMillis = Math.ceil(Date.now()) + 3_600_000
        yield* restoreTopic(Orders, { batches: 1000, records: 5000, orderedMillis })
        yield* restoreIdentity(Orders, "till", 40)
        assert.deepStrictEqual(
          topics().map(({ bounds, committedBatches, name }) => [name, committedBatches, bounds.end]),
          [
            ["orders", 1000, 5000]
          ]
        )
        const trimmed = yield* Effect.flip(Subscriber.open(Orders, { from: { position: 4999 } }))
        assert.isTrue(trimmed._tag === "PositionTrimmed" && trimmed.start === 5000, trimmed.message)
        const replica = yield* attach("disk", { position: 5000 })
        const subscribers = [
          yield* Subscriber.open(Orders),
          yield* Subscriber.open(Orders, { from: "end", lag: "lapped" }),
          yield* Subscriber.open(Orders, { from: { position: 5000 } })
        ]
        const publisher = yield* Publisher.open(Orders, { identity: "till" })
        assert.strictEqual(publisher.committed, 40)
        yield* publisher.send(bytesOf("next"))
        publisher.seal()
        for (const subscriber of subscribers) {
          const [batch] = yield* subscriber.pull
          assert.deepInclude(batch, {
            index: 1000,
            position: 5000,
            firstMessage: 0,
            identity: { name: "till", record: 40, incarnation: 1 }
          })
          assert.isAtLeast(batch?.orderedMillis ?? 0, orderedMillis)
        }
        yield* sync(replica, 1001)
        yield* publisher.flush
        const { identities } = yield* Diagnostics.use(({ snapshot }) => snapshot)
        assert.deepStrictEqual(identities.map(({ committed, name }) => [name, committed]), [["till", 41]])
        const again = yield* Effect.flip(restoreTopic(Orders, { batches: 0, records: 0 }))
        assert.isTrue(again._tag === "RegionError" && again.fault === "invalid", again.message)
        const twice = yield* Effect.flip(restoreIdentity(Orders, "till", 7))
        assert.isTrue(twice._tag === "RegionError" && twice.fault === "invalid", twice.message)
      }).pipe(Effect.scoped, provide))

    it.live("the names that a replica looks for are those of the durable topics, and of no other", () =>
      Effect.gen(function*() {
        const { topicNames, topics } = yield* ReplicatedLog
        assert.deepStrictEqual(topicNames(), [])
        const late = Topic.make("late", { ack: "durable" })
        for (const topic of [Orders, Topic.make("plain"), late]) yield* Publisher.open(topic)
        assert.sameMembers([...topicNames()], ["orders", "late"])
        assert.sameMembers(topics().map(({ name }) => name), [...topicNames()])
      }).pipe(Effect.scoped, provide))

    it.live("an unused durable topic does not lose its place to another topic", () =>
      Effect.gen(function*() {
        yield* Effect.scoped(Publisher.open(Orders))
        for (let i = 0; i < 3 + 2; i += 1) yield* Effect.scoped(Publisher.open(Topic.make(`t${i}`)))
        const { topics } = yield* Diagnostics.use(({ snapshot }) => snapshot)
        assert.include(topics.map(({ name }) => name), "orders")
      }).pipe(Effect.scoped, provide))
  })
}

const relayed = Effect.gen(function*() {
  const { end, start } = yield* Relay
  yield* end
  yield* start
})

export const durableTakeoverSuite = (backend: Backend): void => {
  const provide = Effect.provide(backend.relay({ geometry: smallGeometry }))

  describe(`durable topics whose server changes (${backend.name})`, () => {
    it.live("a replica that stays attached goes on being the durable frontier", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Orders)
        const replica = yield* attach("disk")
        for (let round = 1; round <= 4; round += 1) {
          yield* sendBatches(publisher, replica, 5)
          yield* sync(replica, round * 5 - 2)
          yield* publisher.awaitAcknowledged(round * 5 - 2)
          yield* relayed
          assert.isAtLeast(publisher.acknowledged(), round * 5 - 2)
          assert.strictEqual((yield* durabilityOf("orders"))?.batches, round * 5 - 2)
          yield* sync(replica, round * 5)
          yield* publisher.flush
        }
        assert.strictEqual(publisher.acknowledged(), 20)
      }).pipe(Effect.scoped, provide))

    it.live("what was released to no replica is kept for the next one, after any number of servers", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Orders, { roomDeadline: "300 millis" })
        yield* Effect.scoped(Effect.gen(function*() {
          const replica = yield* attach("disk")
          yield* sendBatches(publisher, replica, 6)
          yield* sync(replica, 5)
          yield* publisher.awaitAcknowledged(5)
        }))
        yield* relayed
        yield* relayed
        const { failed } = yield* fill(publisher)
        assert.include(failed.message, "no replica is attached")
        assert.isAtMost((yield* stateOf("orders")).trimmedBatches, 5)
        const replica = yield* attach("disk", { position: 5 })
        assert.strictEqual(replica.poll(1)[0]?.position, 5)
      }).pipe(Effect.scoped, provide))

    it.live("identities in batches and the clock of a topic survive its server", () =>
      Effect.gen(function*() {
        const { restoreTopic } = yield* ReplicatedLog
        const orderedMillis = Math.ceil(Date.now()) + 3_600_000
        yield* restoreTopic(Orders, { batches: 10, records: 20, orderedMillis })
        const publisher = yield* Publisher.open(Orders, { identity: "till" })
        const replica = yield* attach("disk", { position: 20 })
        for (let i = 0; i < 3; i += 1) {
          yield* publisher.send(bytesOf(`r${i}`))
          publisher.seal()
          yield* replica.waiter.until((): true | undefined => replica.committed() > 10 + i ? true : undefined)
          yield* relayed
        }
        const batches = replica.poll(10)
        assert.deepStrictEqual(
          batches.map(({ identity, position }) => [position, identity]),
          [0, 1, 2].map((i) => [20 + i, { name: "till", record: i, incarnation: 1 }])
        )
        assert.isTrue(batches.every((batch) => batch.orderedMillis >= orderedMillis))
      }).pipe(Effect.scoped, provide))
  })
}

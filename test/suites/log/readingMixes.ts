/**
 * Random mixtures of every way to read one handle, compared with a model: all records once, in order, and the position
 * exact.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import { Publisher, type PublisherHandle } from "../../../src/services/Publisher.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import {
  type IndexedBatch,
  type OnInvalid,
  type Record,
  RecordInvalid,
  Subscriber,
  type SubscriberHandle
} from "../../../src/services/Subscriber.ts"
import type { Backend } from "../../backends/log.ts"
import { histories } from "../../rounds.ts"

const Bytes = Topic.make("numbers")
const Numbered = Schema.Struct({ n: Schema.Int, filling: Schema.String })
const Numbers = Topic.make("numbers", { schema: Numbered })

type Value = typeof Numbered.Type

/** The next action. Records are good or bad; `count` is the number of elements that a run takes. */
type Command =
  | { readonly do: "publish"; readonly batches: ReadonlyArray<ReadonlyArray<boolean>> }
  | { readonly do: "records" | "failing" | "recordBatches" | "batches"; readonly count: number }
  | { readonly do: "pull" | "poll" | "skip" }

const isGood = fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) })

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("publish" as const),
      batches: fc.array(fc.array(isGood, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 20 })
    })
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom("records" as const, "failing" as const, "recordBatches" as const, "batches" as const),
      count: fc.integer({ min: 1, max: 9 })
    })
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("pull" as const, "poll" as const, "skip" as const) }) }
)

const scenario = fc.record({
  before: fc.array(fc.array(isGood, { minLength: 1, maxLength: 6 }), { maxLength: 3 }),
  from: fc.oneof(fc.constantFrom("start" as const, "end" as const), fc.nat({ max: 12 })),
  onInvalid: fc.constantFrom("fail" as const, "skip" as const, "handler" as const),
  commands: fc.array(command, { minLength: 5, maxLength: 60, size: "max" })
})

type Scenario = typeof scenario extends fc.Arbitrary<infer S> ? S : never

const garbage = new TextEncoder().encode("no number")

/** The model: the published records, and the one to be read next. */
class Model {
  readonly records: Array<{ readonly good: boolean; readonly bytes: Uint8Array; readonly lastOfBatch: boolean }> = []
  position: number
  readonly handled: Array<number> = []

  constructor(position: number) {
    this.position = position
  }

  get isAtEnd(): boolean {
    return this.position >= this.records.length
  }

  get isAtBad(): boolean {
    return !this.isAtEnd && !this.records[this.position]!.good
  }

  /** Skips the bad records that a run without failure skips. */
  passBad(): void {
    while (this.isAtBad) {
      this.handled.push(this.position)
      this.position += 1
    }
  }

  sees({ position, sequence, value }: Record<Value>): void {
    assert.deepStrictEqual([position, sequence, value.n], [this.position, this.position, this.position])
    this.position += 1
  }

  lent(batches: ReadonlyArray<IndexedBatch>): void {
    for (const batch of batches) {
      // All are of one session.
      assert.deepStrictEqual([batch.position, batch.firstMessage], [this.position, this.position])
      const lent = this.records.slice(this.position, this.position + batch.messageCount)
      assert.deepStrictEqual(lent.map(({ lastOfBatch }) => lastOfBatch), lent.map((_, i) => i === lent.length - 1))
      assert.deepStrictEqual(Buffer.from(batch.payload), Buffer.concat(lent.map(({ bytes }) => bytes)))
      const lengths = batch.lengths ?? lent.map(() => batch.uniformBytes)
      assert.deepStrictEqual([...lengths], lent.map(({ bytes }) => bytes.length))
      this.position += batch.messageCount
    }
  }
}

const publish = Effect.fnUntraced(function*(
  publisher: PublisherHandle<Uint8Array>,
  model: Model,
  batches: ReadonlyArray<ReadonlyArray<boolean>>
) {
  for (const batch of batches) {
    for (const [i, good] of batch.entries()) {
      const n = model.records.length
      const bytes = good ? encoded({ n, filling: "x".repeat(n % 3) }) : garbage
      model.records.push({ good, bytes, lastOfBatch: i === batch.length - 1 })
      assert.isTrue(publisher.offer(bytes))
    }
    publisher.seal()
  }
  yield* publisher.flush
})

const encoded = (value: Value): Uint8Array => {
  const encoding = Numbers.codec?.encode(value)
  return encoding instanceof Uint8Array ? encoding : garbage
}

/** A run of `records` or `recordBatches`, of `count` elements at most: it ends early at a bad record or at the end. */
const decodedRun = Effect.fnUntraced(function*(
  stream: Stream.Stream<unknown, unknown>,
  model: Model,
  count: number,
  onInvalid: Scenario["onInvalid"]
) {
  let taken = 0
  const counted = Stream.map(stream, () => {
    taken += 1
  })
  const run = counted.pipe(Stream.take(count), Stream.runDrain)
  const ended = yield* Effect.exit(run)
  if (onInvalid !== "fail" && taken < count) model.passBad()
  if (ended._tag === "Failure") {
    const error = yield* Effect.flip(ended)
    assert.isTrue(error instanceof RecordInvalid && error.position === model.position)
    assert.isTrue(model.isAtBad && onInvalid === "fail" && taken < count)
  } else if (taken < count) assert.isTrue(model.isAtEnd)
})

const readAsTold = Effect.fnUntraced(function*(
  command: Exclude<Command, { readonly do: "publish" }>,
  subscriber: SubscriberHandle<Value>,
  model: Model,
  onInvalid: Scenario["onInvalid"]
) {
  const passing = onInvalid !== "fail"
  switch (command.do) {
    case "records": {
      const records = subscriber.records.pipe(Stream.map((record) => {
        if (passing) model.passBad()
        model.sees(record)
      }))
      return yield* decodedRun(records, model, command.count, onInvalid)
    }
    case "failing": {
      let left = command.count
      const run = Stream.runForEach(subscriber.records, (record) => {
        if (passing) model.passBad()
        model.sees(record)
        left -= 1
        return left === 0 ? Effect.fail("enough") : Effect.void
      })
      const ended = yield* Effect.exit(run)
      if (left > 0 && passing) model.passBad()
      if (left > 0) return assert.isTrue(ended._tag === "Success" ? model.isAtEnd : model.isAtBad)
      return assert.strictEqual(yield* Effect.flip(ended), "enough")
    }
    case "recordBatches": {
      const batches = subscriber.recordBatches.pipe(Stream.map((records) => {
        if (passing) model.passBad()
        for (const record of records) model.sees(record)
        const isWhole = model.records[model.position - 1]?.lastOfBatch === true
        assert.isTrue(isWhole || model.isAtBad)
      }))
      return yield* decodedRun(batches, model, command.count, onInvalid)
    }
    case "batches": {
      const run = subscriber.batches.pipe(Stream.map((batch) => model.lent([batch])), Stream.take(command.count))
      const taken = (yield* Stream.runCollect(run)).length
      return assert.isTrue(taken === command.count || model.isAtEnd)
    }
    case "pull":
    case "poll": {
      const wasAtEnd = model.isAtEnd
      const batches = command.do === "pull" ? yield* subscriber.pull : subscriber.poll()
      assert.strictEqual(batches.length === 0, wasAtEnd)
      return model.lent(batches)
    }
    case "skip": {
      assert.strictEqual(subscriber.skip(), !model.isAtEnd)
      if (!model.isAtEnd) model.position += 1
    }
  }
})

const played = Effect.fnUntraced(function*({ before, commands, from, onInvalid }: Scenario) {
  const publisher = yield* Publisher.open(Bytes)
  const model = new Model(0)
  yield* publish(publisher, model, before)
  model.position = typeof from === "number" ? from : from === "start" ? 0 : model.records.length
  const handled: Array<number> = []
  const handler: OnInvalid = ({ position, value }) =>
    Effect.sync(() => {
      assert.deepStrictEqual(Buffer.from(value), Buffer.from(garbage))
      handled.push(position)
    })
  const subscriber = yield* Subscriber.open(Numbers, {
    from: typeof from === "number" ? { position: from } : from,
    untilEnd: true,
    onInvalid: onInvalid === "handler" ? handler : onInvalid
  })
  for (const command of commands) {
    if (command.do === "publish") yield* publish(publisher, model, command.batches)
    else yield* readAsTold(command, subscriber, model, onInvalid)
    assert.strictEqual(subscriber.position(), model.position)
  }
  if (onInvalid === "handler") assert.deepStrictEqual(handled, model.handled)
  return model.position
})

const geometry = {
  brokers: 2,
  clients: 1,
  topics: 1,
  readers: 1,
  laneSlots: 2048,
  laneBytes: 1024 * 1024,
  batchBytes: 4096,
  indexEntries: 4096,
  processes: 2
}

const seed = Number(process.env["RINGFENCE_SEED"] ?? Date.now() % 1_000_000_000)
const runs = histories(25, 100)

export const readingMixesSuite = (backend: Backend): void => {
  describe(`reading in every mixture (${backend.name}, seed ${seed})`, () => {
    it("gives every record once and in order, and the exact position", async () => {
      const property = fc.asyncProperty(scenario, async (scenario) => {
        const position = await Effect.runPromise(
          played(scenario).pipe(
            Effect.scoped,
            Effect.provide(Layer.merge(backend.embedded({ geometry }), Logger.layer([])))
          )
        )
        assert.isAtLeast(position, 0)
      })
      await fc.assert(property, { seed, numRuns: runs, interruptAfterTimeLimit: 120_000 })
    }, 150_000)
  })
}

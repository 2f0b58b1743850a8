/**
 * A subscriber of the torture that memory does not wait for. It goes on exactly where the process before it was, and writes
 * down each gap that it is told. Now and then it is slow by itself.
 */
import * as Effect from "effect/Effect"
import { Subscriber, type SubscriberHandle } from "../../src/services/Subscriber.ts"
import { LaggardJob, topicNamed } from "./jobs.ts"
import type { Write } from "./journal.ts"
import { runPart } from "./part.ts"
import { chooser } from "./random.ts"
import { plantBelow } from "./reader-plants.ts"
import { noteRuns } from "./runs.ts"

const pauseMostMillis = 500

/** Where it goes on when it attaches again, by itself, to a log that was restored. */
let position: number | undefined

/** One who is lapped reads what is ordered, which begins anew; one with files what is durable, which goes on. */
const placeOf = ({ lag, position: begun, regionId: before }: LaggardJob, regionId: string): number => {
  if (lag === "history") return position ?? begun
  return position === undefined && regionId === before ? begun : 0
}

const optionsOf = (lag: LaggardJob["lag"]) =>
  lag === "history" ? { lag, isolation: "durable" } as const : { lag } as const

/** The look at the topic's beginning comes behind the gap: it only rises, so what the gap has was gone by then. */
const noteMissed = Effect.fnUntraced(function*(job: LaggardJob, handle: SubscriberHandle<Uint8Array>, write: Write) {
  const { ahead, count, records } = handle.gaps()
  const { start } = yield* Subscriber.bounds(topicNamed(job.topic))
  const [aheadCount, aheadRecords] = ahead === undefined ? [0, 0] : [1, ahead.to - ahead.from]
  write({ _tag: "Missed", start, count: count - aheadCount, records: records - aheadRecords })
})

/** Nothing damages the memory of the torture: what contradicts itself is a copy that was written over. */
const pulledFrom = ({ position, pull }: SubscriberHandle<Uint8Array>, write: Write) =>
  Effect.timeoutOrElse(pull, { duration: 100, orElse: () => Effect.succeed([]) }).pipe(
    Effect.tapError(({ _tag }) =>
      Effect.sync(() => {
        if (_tag === "LogCorrupt") write({ _tag: "Torn", position: position() })
      })
    )
  )

runPart(LaggardJob, (job, { end, reached, regionId, write }) =>
  Effect.gen(function*() {
    if (job.plant !== undefined) plantBelow(job.plant)
    const choose = chooser(job.seed)
    const options = optionsOf(job.lag)
    position = placeOf(job, regionId)
    const handle = yield* Subscriber.open(topicNamed(job.topic), { ...options, from: { position } })
    write({ _tag: "Attached", position, ...options })
    reached(0, position)
    while (position < (end() ?? Infinity)) {
      const pulled = yield* pulledFrom(handle, write)
      let records = 0
      for (const batch of pulled) {
        if (batch.gap !== undefined) write({ _tag: "Gap", ...batch.gap })
        noteRuns(batch, write)
        records += batch.messageCount
        position = batch.position + batch.messageCount
      }
      if (records > 0) reached(records, position)
      if (pulled.some(({ gap }) => gap !== undefined)) yield* noteMissed(job, handle, write)
      if (choose(50) === 0) yield* Effect.sleep(choose(pauseMostMillis))
    }
  }))

/**
 * A subscriber of the torture: checks each record, and writes down what it has read.
 */
import * as Effect from "effect/Effect"
import { type IndexedBatch, Subscriber } from "../../src/services/Subscriber.ts"
import { SubscriberJob, TortureTopic } from "./jobs.ts"
import type { Run, Write } from "./journal.ts"
import { runPart } from "./part.ts"
import { stampOf } from "./records.ts"

type Growing = { -readonly [Field in keyof Run]: Run[Field] }

/** Writes the records of a batch as runs: one, if its publisher numbered them densely. */
const note = (batch: IndexedBatch, write: Write): void => {
  const { firstMessage, lengths, messageCount, payload, position, sessionId, uniformBytes } = batch
  let run: Growing | undefined
  for (let i = 0, from = 0; i < messageCount; i += 1) {
    const bytes = lengths?.[i] ?? uniformBytes
    const stamp = stampOf(payload.subarray(from, from + bytes))
    from += bytes
    if (stamp === undefined) {
      write({ _tag: "Torn", position: position + i })
      continue
    }
    const { life, number, publisher } = stamp
    const goesOn = run?.publisher === publisher && run.life === life && run.first + run.records === number
    if (run !== undefined && goesOn && run.position + run.records === position + i) {
      run.records += 1
      continue
    }
    if (run !== undefined) write(run)
    const place = { position: position + i, sessionId, firstMessage: firstMessage + i }
    run = { _tag: "Run", publisher, life, first: number, records: 1, ...place }
  }
  if (run !== undefined) write(run)
}

/** Another subscriber has all that was trimmed while this one was gone. */
const openAt = (position: number) =>
  Effect.catchTag(
    Subscriber.open(TortureTopic, { from: { position } }),
    "PositionTrimmed",
    () => Subscriber.open(TortureTopic, { from: "start" })
  )

runPart(SubscriberJob, ({ position }, { end, reached, write }) =>
  Effect.gen(function*() {
    const handle = yield* openAt(position)
    write({ _tag: "Attached", position: handle.position() })
    reached(handle.position())
    while (handle.position() < (end() ?? Infinity)) {
      const pulled = yield* Effect.timeoutOrElse(handle.pull, { duration: 100, orElse: () => Effect.succeed([]) })
      for (const batch of pulled) note(batch, write)
      if (pulled.length > 0) reached(handle.position())
    }
  }))

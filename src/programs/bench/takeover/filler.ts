/**
 * A child of `bench takeover`: fills the log with batches of one record each, which a recovery has to read.
 */
import * as Effect from "effect/Effect"
import { Publisher } from "../../../services/Publisher.ts"
import { runChild } from "../../processes/child.ts"
import { attached } from "../../processes/log-client.ts"
import { Filler, TakeoverTopic } from "./jobs.ts"

const record = new Uint8Array(16)

/** Batches between two turns of the event loop. */
const batchesPerTurn = 256

runChild(Filler, (job, parent) =>
  Effect.gen(function*() {
    const publisher = yield* Publisher.open(TakeoverTopic)
    yield* parent.ready
    for (let batch = 0; batch < job.batches; batch += 1) {
      if (!publisher.offer(record)) yield* publisher.send(record)
      publisher.seal()
      if (batch % batchesPerTurn === 0) yield* Effect.yieldNow
    }
    yield* publisher.flush
    yield* parent.result({ records: publisher.accepted(), acknowledged: publisher.acknowledged() })
    yield* parent.end
  }).pipe(Effect.scoped, attached(job)))

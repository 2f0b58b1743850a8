/**
 * The holder of a named cursor: reads what is durable, and commits how far it is, now and then durably. The next holder
 * goes on there.
 */
import * as Effect from "effect/Effect"
import { Subscriber } from "../../src/services/Subscriber.ts"
import { cursorName, HolderJob, StoredTopic } from "./jobs.ts"
import { runPart } from "./part.ts"
import { chooser } from "./random.ts"
import { noteRuns } from "./runs.ts"

runPart(HolderJob, (job, { end, reached, write }) =>
  Effect.gen(function*() {
    const choose = chooser(job.seed)
    const handle = yield* Subscriber.open(StoredTopic, { cursor: cursorName, isolation: "durable" })
    write({ _tag: "Attached", position: handle.position(), isolation: "durable" })
    reached(0, handle.position())
    while (handle.position() < (end() ?? Infinity)) {
      const before = handle.position()
      const pulled = yield* Effect.timeoutOrElse(handle.pull, { duration: 100, orElse: () => Effect.succeed([]) })
      for (const batch of pulled) noteRuns(batch, write)
      if (pulled.length === 0) continue
      reached(handle.position() - before, handle.position())
      if (choose(3) > 0) continue
      const durable = choose(2) === 0
      write({ _tag: "Committing", position: handle.position() })
      const position = yield* handle.commit({ durable })
      write({ _tag: "Committed", position, durable })
    }
  }))

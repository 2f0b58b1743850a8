/**
 * A child of the log soak: checks every byte of every record.
 */
import * as Effect from "effect/Effect"
import { readTopic } from "../../src/programs/log-trial/read-topic.ts"
import { peakResidentBytes } from "../../src/programs/measure/cpu-usage.ts"
import { type Parent, runChild } from "../../src/programs/processes/child.ts"
import { attached } from "../../src/programs/processes/log-client.ts"
import { type IndexedBatch, Subscriber, type SubscriberHandle } from "../../src/services/Subscriber.ts"
import { recordBytes, SessionContent } from "./log-content.ts"
import { type Seen, type SoakJob, SoakSubscriber, SoakTopic } from "./log-jobs.ts"

class ContentCheck {
  wrong = 0
  readonly #sessions = new Map<number, SessionContent>()

  see(batch: IndexedBatch): void {
    if (batch.uniformBytes !== recordBytes) {
      this.wrong += batch.messageCount
      return
    }
    const { buffer, byteLength, byteOffset } = batch.payload
    const bytes = Buffer.from(buffer, byteOffset, byteLength)
    const view = new DataView(buffer, byteOffset, byteLength)
    const content = this.#contentOf(batch.sessionId)
    for (let i = 0; i < batch.messageCount; i += 1) {
      if (!content.matches(bytes, view, i * recordBytes, batch.firstMessage + i)) this.wrong += 1
    }
  }

  #contentOf(sessionId: number): SessionContent {
    const known = this.#sessions.get(sessionId)
    if (known !== undefined) return known
    const content = new SessionContent(sessionId)
    this.#sessions.set(sessionId, content)
    return content
  }
}

const readAll = Effect.fnUntraced(function*(
  job: SoakJob,
  subscriber: SubscriberHandle<Uint8Array>,
  parent: Parent<Seen>
) {
  const content = new ContentCheck()
  const seen = yield* readTopic(job.records, subscriber, parent, (batch) => content.see(batch))
  return yield* parent.result({ ...seen, wrong: content.wrong, residentBytes: peakResidentBytes() })
})

runChild(SoakSubscriber, (job, parent) =>
  Effect.gen(function*() {
    const subscriber = yield* Subscriber.open(SoakTopic, { from: "start", name: job.name })
    yield* parent.ready
    yield* readAll(job, subscriber, parent)
    yield* parent.end
  }).pipe(Effect.scoped, attached(job)))

/**
 * A child of the demonstration: reads the whole topic and reports hashes and counts of what it saw.
 */
import * as Effect from "effect/Effect"
import { createHash, type Hash } from "node:crypto"
import { type IndexedBatch, Subscriber, type SubscriberHandle } from "../../services/Subscriber.ts"
import { readTopic } from "../log-trial/read-topic.ts"
import { type Parent, runChild } from "../processes/child.ts"
import { attached } from "../processes/log-client.ts"
import { DemoSubscriber, DemoTopic, type SubscriberJob, type SubscriberResult } from "./jobs.ts"

/** Hashes whole batches in the order seen: each session's bytes, and all records with their positions. */
class OrderHash {
  readonly #order = createHash("sha256")
  readonly #sessions = new Map<number, Hash>()
  readonly #place = new Float64Array(5)
  readonly #placeBytes = new Uint8Array(this.#place.buffer)

  see(batch: IndexedBatch): void {
    let session = this.#sessions.get(batch.sessionId)
    if (session === undefined) {
      session = createHash("sha256")
      this.#sessions.set(batch.sessionId, session)
    }
    session.update(batch.payload)
    this.#place[0] = batch.position
    this.#place[1] = batch.messageCount
    this.#place[2] = batch.sessionId
    this.#place[3] = batch.firstMessage
    this.#place[4] = batch.uniformBytes
    this.#order.update(this.#placeBytes)
    if (batch.lengths !== undefined) this.#order.update(batch.lengths)
    this.#order.update(batch.payload)
  }

  ofOrder(): string {
    return this.#order.digest("hex")
  }

  ofSession(sessionId: number): string {
    return this.#sessions.get(sessionId)?.digest("hex") ?? ""
  }
}

const readAll = Effect.fnUntraced(function*(
  job: SubscriberJob,
  subscriber: SubscriberHandle<Uint8Array>,
  parent: Parent<SubscriberResult>
) {
  const hash = new OrderHash()
  const seen = yield* readTopic(job.records, subscriber, parent, (batch) => hash.see(batch))
  return yield* parent.result({
    ...seen,
    orderSha256: hash.ofOrder(),
    sessions: seen.sessions.map((session) => ({ ...session, sha256: hash.ofSession(session.sessionId) }))
  })
})

runChild(DemoSubscriber, (job, parent) =>
  Effect.gen(function*() {
    const subscriber = yield* Subscriber.open(DemoTopic, { from: "start", name: job.name })
    yield* parent.ready
    yield* readAll(job, subscriber, parent)
    yield* parent.end
  }).pipe(Effect.scoped, attached(job)))

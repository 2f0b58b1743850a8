/**
 * A child of `bench takeover`: loads the log with records whose every byte can be checked.
 */
import * as Effect from "effect/Effect"
import { Publisher, type PublisherHandle } from "../../../services/Publisher.ts"
import { recordBytes, SessionContent } from "../../log-trial/session-content.ts"
import { type Parent, runChild } from "../../processes/child.ts"
import { attached } from "../../processes/log-client.ts"
import { LoadPublisher, type Published, TakeoverTopic } from "./jobs.ts"

/** Records between two turns of the event loop. */
const recordsPerTurn = 1024

const publishUntilTold = Effect.fnUntraced(function*(
  publisher: PublisherHandle<Uint8Array>,
  parent: Parent<Published>
) {
  const content = new SessionContent(publisher.sessionId)
  const record = Buffer.alloc(recordBytes)
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength)
  const heard = { finish: false }
  yield* Effect.forkScoped(Effect.map(parent.finish, () => void (heard.finish = true)))
  for (let sequence = 0; !heard.finish; sequence += 1) {
    content.write(record, view, sequence)
    if (!publisher.offer(record)) yield* publisher.send(record)
    if (sequence % recordsPerTurn === 0) yield* Effect.yieldNow
  }
  yield* publisher.flush
})

runChild(LoadPublisher, (job, parent) =>
  Effect.gen(function*() {
    const publisher = yield* Publisher.open(TakeoverTopic)
    yield* parent.ready
    yield* parent.begin
    yield* publishUntilTold(publisher, parent)
    yield* parent.result({ records: publisher.accepted(), acknowledged: publisher.acknowledged() })
    yield* parent.end
  }).pipe(Effect.scoped, attached(job)))

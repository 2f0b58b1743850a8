/**
 * Sends a stream of bytes as records, as fast as there is room.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type PublisherHandle, type PublishError, RecordTooLarge } from "../../services/Publisher.ts"
import type { RecordCutter } from "./record-splitter.ts"
import type { PublishTally } from "./report.ts"

export interface SendOptions {
  /** The size of the largest record that can be sent. */
  readonly limitBytes: number
  readonly tally: PublishTally
}

export const sendRecords = <E>(
  publisher: PublisherHandle<Uint8Array>,
  chunks: Stream.Stream<Uint8Array, E>,
  cutter: RecordCutter,
  { limitBytes, tally }: SendOptions
): Effect.Effect<void, E | PublishError> => {
  const send = (records: Iterable<Uint8Array>) => publisher.sendAll(counted(records, tally))
  // Fail as soon as a record is too large, instead of collecting the rest of it.
  const refuseTooLarge = Effect.suspend(() => {
    const { keptBytes: recordBytes } = cutter
    if (recordBytes <= limitBytes) return Effect.void
    return Effect.fail(new RecordTooLarge({ topic: publisher.topic, recordBytes, limitBytes }))
  })
  return Stream.runForEach(chunks, (chunk) => Effect.andThen(send(cutter.cut(chunk)), refuseTooLarge)).pipe(
    Effect.andThen(Effect.suspend(() => send(cutter.end())))
  )
}

// --- internal ---

function* counted(records: Iterable<Uint8Array>, tally: PublishTally): Iterable<Uint8Array> {
  for (const record of records) {
    yield record
    tally.bytes += record.length
  }
}

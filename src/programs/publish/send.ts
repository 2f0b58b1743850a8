/**
 * Sends a stream of bytes as records, as fast as there is room. Skips those that its identity has committed.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type PublisherHandle, type PublishError, RecordTooLarge } from "../../services/Publisher.ts"
import { formatCount, plural } from "../cli/units.ts"
import type { RecordCutter } from "./record-splitter.ts"
import type { PublishTally } from "./report.ts"

export interface SendOptions {
  /** The size of the largest record that can be sent. */
  readonly limitBytes: number
  readonly tally: PublishTally
}

/** The input has fewer records than the identity has committed: it is not the input that was published before. */
export class InputTooShort extends Schema.TaggedError<InputTooShort>()("InputTooShort", {
  identity: Schema.String,
  records: Schema.Number,
  committed: Schema.Number
}) {
  override get message(): string {
    return `the input has ${plural(this.records, "record")}, and "${this.identity}" has committed ${
      formatCount(this.committed)
    } (${this.hint})`
  }

  get hint(): string {
    return "give the whole input that was published before, cut into the same records, or another identity"
  }
}

export const sendRecords = <E>(
  publisher: PublisherHandle<Uint8Array>,
  chunks: Stream.Stream<Uint8Array, E>,
  cutter: RecordCutter,
  { limitBytes, tally }: SendOptions
): Effect.Effect<void, E | PublishError> => {
  const send = (records: Iterable<Uint8Array>) => publisher.sendAll(counted(records, publisher.committed, tally))
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

function* counted(
  records: Iterable<Uint8Array>,
  committed: number,
  tally: PublishTally
): Iterable<Uint8Array> {
  for (const record of records) {
    if (tally.skipped < committed) {
      tally.skipped += 1
      continue
    }
    yield record
    tally.bytes += record.length
  }
}

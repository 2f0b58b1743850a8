/**
 * Turns the records of a batch into runs, as journals have them.
 */
import type { Run, Write } from "./journal.ts"
import { stampOf } from "./records.ts"

type Growing = { -readonly [Field in keyof Run]: Run[Field] }

/** What a batch is known by, in memory and in files alike. */
export interface Batch {
  readonly position: number
  readonly messageCount: number
  readonly sessionId: number
  readonly firstMessage: number
  readonly uniformBytes: number
  readonly lengths: Uint32Array | undefined
  readonly payload: Uint8Array
}

/** Writes the records of a batch as runs: one, if its publisher numbered them densely. Checks every byte. */
export const noteRuns = (batch: Batch, write: Write): void => {
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

/**
 * Writes to standard output and standard error; no other file does.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** The reader of standard output has closed it, as `| head` does. */
export class OutputClosed extends Schema.TaggedError<OutputClosed>()("OutputClosed", {}) {}

/** Standard output cannot be written, usually because the disk is full. A file then holds only the beginning. */
export class OutputFailed extends Schema.TaggedError<OutputFailed>()("OutputFailed", { reason: Schema.String }) {
  override get message(): string {
    return `standard output cannot be written: ${this.reason}`
  }
}

export type OutputError = OutputClosed | OutputFailed

/**
 * Writes the parts in order and returns when all are written: their bytes are in use until then. A slow reader of the
 * output holds up the program here.
 */
export const writeOutput = (parts: ReadonlyArray<Uint8Array | string>): Effect.Effect<void, OutputError> =>
  Effect.mapError(write(process.stdout, parts), outputError)

/** Writes a line to standard output. */
export const writeLine = (line: string): Effect.Effect<void, OutputError> => writeOutput([`${line}\n`])

/** Writes a line to standard error, and ignores a failure. */
export const writeNotice = (line: string): Effect.Effect<void> => Effect.ignore(write(process.stderr, [`${line}\n`]))

/** Writes a line to standard error synchronously, for loggers. */
export const writeNoticeNow = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

/**
 * Overwrites the last line of standard error on a terminal; an empty text erases it. Does nothing elsewhere.
 */
export const redrawNotice = (text: string): void => {
  if (!process.stderr.isTTY) return
  const { columns } = process.stderr
  // Cut the line: a line that wraps could not be overwritten.
  process.stderr.write(`\r\u001B[2K${columns > 0 ? text.slice(0, columns - 1) : text}`)
}

/** Ignores `error` events of the streams, which would end the process: failed writes fail their writers anyway. */
export const quietStreams: Effect.Effect<void> = Effect.sync(() => {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined)
})

// --- internal ---

const write = (
  stream: NodeJS.WriteStream,
  parts: ReadonlyArray<Uint8Array | string>
): Effect.Effect<void, Error> =>
  Effect.callback((resume) => {
    if (parts.length === 0) return resume(Effect.void)
    stream.cork()
    for (const part of parts.slice(0, -1)) stream.write(part)
    stream.write(parts.at(-1) ?? "", (error) => resume(error instanceof Error ? Effect.fail(error) : Effect.void))
    stream.uncork()
  })

const closedCodes = new Set(["EPIPE", "ECONNRESET", "ERR_STREAM_DESTROYED", "ERR_STREAM_WRITE_AFTER_END"])

const outputError = (error: NodeJS.ErrnoException): OutputError =>
  closedCodes.has(error.code ?? "") ? new OutputClosed() : new OutputFailed({ reason: reasonOf(error) })

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full (free some space, or write elsewhere)",
  EDQUOT: "this user's share of the disk is used up (free some space, or write elsewhere)",
  EFBIG: "the file has reached its largest size (write elsewhere, or read less with --count)",
  EIO: "the disk reports an error (write elsewhere)"
}

const reasonOf = ({ code, message }: NodeJS.ErrnoException): string => reasons[code ?? ""] ?? message

/**
 * The jobs of the process that measures a rival, and of the rival's other side.
 */
import * as Schema from "effect/Schema"
import { LatencyHistogram } from "../../src/programs/measure/latency.ts"
import { type ChildProgram, programBeside } from "../../src/programs/processes/protocol.ts"

/** The ways to communicate between threads and processes in Node.js, and packages that are installed. */
export const Rival = Schema.Literals([
  "atomicsSpin",
  "atomicsWait",
  "messagePort",
  "ipcAdvanced",
  "ipcJson",
  "unixSocket",
  "zeromq",
  "ringbuf"
])
export type Rival = typeof Rival.Type

export const RivalJob = Schema.Struct({
  rival: Rival,
  /** Bytes of a sent message; it may pack several messages of the benchmark. */
  messageBytes: Schema.Int,
  /** Sent before the clock starts. */
  warmup: Schema.Int,
  messages: Schema.Int,
  /** False: round trips. True: one way, as fast as the other side takes them. */
  oneWay: Schema.Boolean
})
export type RivalJob = typeof RivalJob.Type

export const RivalResult = Schema.Struct({
  /** For round trips. */
  latency: LatencyHistogram,
  /** For one way. */
  messagesPerSecond: Schema.Finite,
  /** True if all data came back, or was counted, as it was sent. */
  agrees: Schema.Boolean
})
export type RivalResult = typeof RivalResult.Type

export const RivalAsker: ChildProgram<RivalJob, RivalResult> = {
  entry: programBeside(import.meta.url, "asker"),
  job: RivalJob,
  result: RivalResult
}

/** One-way messages are confirmed in windows of this many, and at most two windows are in flight. */
export const windowOf = ({ messageBytes }: { readonly messageBytes: number }): number =>
  Math.max(4, Math.floor(256 * 1024 / messageBytes))

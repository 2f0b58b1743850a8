/**
 * Measures the rivals.
 */
import * as Effect from "effect/Effect"
import { formatBytes } from "../../src/programs/cli/units.ts"
import * as Children from "../../src/programs/processes/spawn.ts"
import { type Figure, figure, latencyFigure } from "../harness/comparison.ts"
import { type Measuring, tripsOf } from "../ring/scenarios.ts"
import { type Rival, RivalAsker, type RivalJob, type RivalResult } from "./jobs.ts"
import { notInstalled } from "./missing.ts"

export const rivalTitles: Readonly<Record<Rival, string>> = {
  atomicsSpin: "worker_threads, Atomics, spinning",
  atomicsWait: "worker_threads, Atomics.wait",
  messagePort: "worker_threads, postMessage",
  ipcAdvanced: "child_process, advanced",
  ipcJson: "child_process, JSON",
  unixSocket: "Unix socket",
  zeromq: "zeromq",
  ringbuf: "ringbuf.js, spinning"
}

export const spinningRivals: ReadonlyArray<Rival> = ["atomicsSpin", "ringbuf"]

export const asleepRivals: ReadonlyArray<Rival> = [
  "atomicsWait",
  "messagePort",
  "ipcAdvanced",
  "ipcJson",
  "unixSocket",
  "zeromq"
]

/** Round trips of 64 bytes. */
export const rivalFigure = (rival: Rival, trips: number): Measuring => {
  const { trips: messages, warmup } = tripsOf(trips)
  return measured(
    rivalTitles[rival],
    { rival, messageBytes: 64, warmup, messages, oneWay: false },
    ({ agrees, latency }) => latencyFigure(rivalTitles[rival], [latency], agrees)
  )
}

/** How a rival carries messages: as many calls as messages, or packed, which is faster for all that call the system. */
export type Packing = "one by one" | "packed by 64 KiB"

/** One way. */
export const streamRivalFigure = (
  rival: Rival,
  packing: Packing,
  messageBytes: number,
  messages: number
): Measuring => {
  const perCall = packing === "one by one" ? 1 : Math.max(1, packedBytes / messageBytes)
  const calls = Math.max(8, Math.ceil(messages / perCall))
  const job = {
    rival,
    messageBytes: messageBytes * perCall,
    warmup: Math.ceil(calls / 4),
    messages: calls,
    oneWay: true
  }
  const key = streamRivalKey(rival, packing, messageBytes)
  return measured(key, job, ({ agrees, messagesPerSecond }) =>
    figure(key, {
      messagesPerSecond: messagesPerSecond * perCall,
      gigabytesPerSecond: messagesPerSecond * perCall * messageBytes / 1e9
    }, agrees))
}

export const streamRivalKey = (rival: Rival, packing: Packing, messageBytes: number): string =>
  `${rivalTitles[rival]}, ${formatBytes(messageBytes)}, ${packing}`

export const streamRivals = (messages: number): ReadonlyArray<Measuring> => [
  ...(["messagePort", "ipcAdvanced", "unixSocket", "zeromq"] as const).flatMap((rival) => [
    streamRivalFigure(rival, "one by one", 64, Math.ceil(messages / 40)),
    streamRivalFigure(rival, "packed by 64 KiB", 64, Math.ceil(messages / 4))
  ]),
  streamRivalFigure("ringbuf", "one by one", 64, messages)
]

// --- internal ---

const packedBytes = 64 * 1024

// Leaves a rival that is not installed out of the figures, and says so in the report.
const measured = (key: string, job: RivalJob, figureOf: (result: RivalResult) => Figure): Measuring =>
  Effect.gen(function*() {
    const child = yield* Children.started(RivalAsker, job.rival, job)
    const result = yield* child.result
    yield* Children.end([child])
    return [figureOf(result)]
  }).pipe(
    Effect.catchTag(
      "ChildFailed",
      (error) =>
        error.detail.endsWith(notInstalled)
          ? Effect.succeed([figure(`${key}: ${error.detail}`, {})])
          : Effect.fail(error)
    ),
    Effect.scoped
  )

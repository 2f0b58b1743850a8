/**
 * Measures the rivals.
 */
import * as Effect from "effect/Effect"
import * as Children from "../../src/programs/processes/spawn.ts"
import { type Figure, figure, latencyFigure } from "../harness/comparison.ts"
import { type Measuring, tripsOf } from "../ring/scenarios.ts"
import { type Rival, RivalAsker, type RivalJob, type RivalResult } from "./jobs.ts"

export const spinningRival: Rival = "atomicsSpin"

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
    titles[rival],
    { rival, messageBytes: 64, warmup, messages, oneWay: false },
    ({ agrees, latency }) => latencyFigure(titles[rival], [latency], agrees)
  )
}

/** One way: one message per call, and 64 KiB of messages per call, which is faster for rivals. */
export const streamRivals = (messages: number): ReadonlyArray<Measuring> =>
  (["messagePort", "ipcAdvanced", "unixSocket", "zeromq"] as const).flatMap((rival) => [
    streamFigure(rival, Math.ceil(messages / 40), 1),
    streamFigure(rival, Math.ceil(messages / 4), packedMessages)
  ])

// --- internal ---

const messageBytes = 64
const packedMessages = 64 * 1024 / messageBytes

const titles: Readonly<Record<Rival, string>> = {
  atomicsSpin: "worker_threads, Atomics, spinning",
  atomicsWait: "worker_threads, Atomics.wait",
  messagePort: "worker_threads, postMessage",
  ipcAdvanced: "child_process, advanced",
  ipcJson: "child_process, JSON",
  unixSocket: "Unix socket",
  zeromq: "zeromq"
}

const streamFigure = (rival: Rival, messages: number, perCall: number): Measuring => {
  const calls = Math.max(8, Math.ceil(messages / perCall))
  const job = {
    rival,
    messageBytes: messageBytes * perCall,
    warmup: Math.ceil(calls / 4),
    messages: calls,
    oneWay: true
  }
  const how = perCall === 1 ? "one by one" : "packed by 64 KiB"
  const key = `${titles[rival]}, 64 B, ${how}`
  return measured(key, job, ({ agrees, messagesPerSecond }) =>
    figure(key, {
      messagesPerSecond: messagesPerSecond * perCall,
      gigabytesPerSecond: messagesPerSecond * perCall * messageBytes / 1e9
    }, agrees))
}

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
      (error) => error.detail === missing ? Effect.succeed([figure(`${key}: ${missing}`, {})]) : Effect.fail(error)
    ),
    Effect.scoped
  )

/** The report of a child that cannot load its rival. */
const missing = "zeromq is not installed"

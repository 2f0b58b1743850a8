/**
 * The other side of a rival, as a worker or as a process: sends every message back, or counts them and confirms each
 * window.
 */
import { isMainThread, workerData } from "node:worker_threads"
import { answerAtomics } from "./atomics.ts"
import { type Channel, openAnswerer } from "./channel.ts"
import { type RivalJob, windowOf } from "./jobs.ts"
import { answerRingbuf } from "./ringbuf.ts"

const echo = (channel: Channel): void => channel.listen((message) => channel.send(message))

// Sends back the sum of the messages' first bytes, which differ.
const count = (channel: Channel, job: RivalJob): void => {
  const window = windowOf(job)
  const total = job.warmup + job.messages
  const answer = new Uint8Array(job.messageBytes)
  const words = new Float64Array(answer.buffer, 0, 1)
  let counted = 0
  channel.listen((message) => {
    counted += 1
    words[0] = (words[0] as number) + (message[0] as number)
    if (counted % window === 0 || counted === total) channel.send(answer.slice())
  })
}

const serve = async (job: RivalJob, path: string): Promise<void> => {
  const { rival } = job
  if (rival === "atomicsSpin" || rival === "atomicsWait") return answerAtomics(workerData)
  if (rival === "ringbuf") return answerRingbuf(workerData)
  const channel = await openAnswerer(rival, job, path)
  if (job.oneWay) count(channel, job)
  else echo(channel)
}

const [, , text = "{}", path = ""] = process.argv
// The measuring process kills this one at the end. If that process is gone, its socket ends, and so does this process.
process.on("disconnect", () => process.exit(0))
void serve(isMainThread ? JSON.parse(text) as RivalJob : workerData as RivalJob, path)

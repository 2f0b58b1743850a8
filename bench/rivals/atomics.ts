/**
 * Two threads over a SharedArrayBuffer, the fastest way between workers of one process: 64 bytes each way, and a word
 * that announces them.
 */
import { Worker } from "node:worker_threads"
import { peerUrl } from "./channel.ts"
import type { RivalJob } from "./jobs.ts"

/** The worker's data. */
export interface AtomicsJob extends RivalJob {
  readonly memory: SharedArrayBuffer
}

const asked = 0
const answered = 1
const wordsBytes = 128

/** The places of the messages, after the two words on cache lines of their own. */
const linesOf = (memory: SharedArrayBuffer, messageBytes: number) => ({
  words: [new Int32Array(memory, 0, 1), new Int32Array(memory, 64, 1)] as const,
  question: new Uint8Array(memory, wordsBytes, messageBytes),
  answer: new Uint8Array(memory, wordsBytes + messageBytes, messageBytes)
})

/** The round trips in microseconds. Blocks its thread. */
export const askAtomics = async (job: RivalJob): Promise<Float64Array> => {
  const memory = new SharedArrayBuffer(wordsBytes + 2 * job.messageBytes)
  const worker = new Worker(peerUrl, { workerData: { ...job, memory } satisfies AtomicsJob })
  await new Promise((resolve) => worker.once("online", resolve))
  const { answer, question, words } = linesOf(memory, job.messageBytes)
  const message = new Uint8Array(job.messageBytes).fill(7)
  const say = sayOf(job)
  const hear = hearOf(job)
  const micros = new Float64Array(job.warmup + job.messages)
  let before = performance.now()
  for (let trip = 1; trip <= micros.length; trip += 1) {
    question.set(message)
    say(words[asked], trip)
    hear(words[answered], trip)
    message.set(answer)
    const now = performance.now()
    micros[trip - 1] = 1000 * (now - before)
    before = now
  }
  await worker.terminate()
  return micros
}

/** Runs the worker's side. */
export const answerAtomics = (job: AtomicsJob): void => {
  const { answer, question, words } = linesOf(job.memory, job.messageBytes)
  const say = sayOf(job)
  const hear = hearOf(job)
  for (let trip = 1; trip <= job.warmup + job.messages; trip += 1) {
    hear(words[asked], trip)
    answer.set(question)
    say(words[answered], trip)
  }
}

// --- internal ---

const sayOf = ({ rival }: RivalJob) => (word: Int32Array, trip: number): void => {
  Atomics.store(word, 0, trip)
  if (rival === "atomicsWait") Atomics.notify(word, 0)
}

const hearOf = ({ rival }: RivalJob) => (word: Int32Array, trip: number): void => {
  while (Atomics.load(word, 0) !== trip) if (rival === "atomicsWait") Atomics.wait(word, 0, trip - 1)
}
